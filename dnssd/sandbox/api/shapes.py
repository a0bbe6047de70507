"""The shapes of Route 53's requests and answers, read from XML and written to it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from dnssd.errors import MalformedName
from dnssd.names import Name
from dnssd.records import MAX_TTL
from dnssd.sandbox.api import xml
from dnssd.sandbox.api.hostedzones import NAME_SERVERS, HostedZone, Submission, Vpc
from dnssd.sandbox.api.rejections import Rejection, invalid_batch, invalid_input
from dnssd.sandbox.api.rrsets import POLICIES, Action, Edit, HostedRRset, Routing
from dnssd.sandbox.api.validation import TYPES, read_name
from dnssd.zones.route53.text import write_name

MAX_IDENTIFIER = 128  # characters of a set identifier
MAX_COMMENT = 256  # characters

_SIMPLE = ("Name", "Type", "TTL", "ResourceRecords")
_ROUTING = ("SetIdentifier", *POLICIES, "AliasTarget", "HealthCheckId")
_SOURCES = "[AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId]"


@dataclass(frozen=True, slots=True)
class NewZone:
    """What CreateHostedZone asks for."""

    origin: Name
    caller_reference: str
    comment: str
    vpc: Vpc | None


def read_new_zone(body: bytes) -> NewZone:
    """The request of CreateHostedZone.

    Raises:
        Rejection: InvalidInput, InvalidDomainName, MalformedInput.
    """
    root = xml.read(body, "CreateHostedZoneRequest")
    parts = xml.children(
        root, "Name", "VPC", "CallerReference", "HostedZoneConfig", "DelegationSetId"
    )  # the last is taken and not kept: all zones here have the same name servers
    config = xml.texts(parts.get("HostedZoneConfig"), "Comment", "PrivateZone")
    vpc = xml.texts(parts.get("VPC"), "VPCRegion", "VPCId")
    reference = parts["CallerReference"].text if "CallerReference" in parts else None
    if not reference:
        raise invalid_input("Invalid request: Missing field 'CallerReference'")
    if config.get("PrivateZone") == "true" and not vpc:
        raise invalid_input("Invalid request: a private hosted zone needs a VPC")
    if vpc and not vpc.get("VPCId"):
        raise Rejection("InvalidVPCId", "The VPC needs a VPCId")
    name = parts["Name"].text if "Name" in parts else None
    try:
        origin = read_name(name or "")
    except MalformedName as error:
        raise Rejection("InvalidDomainName", f"{name or ''} is not a valid domain name") from error
    return NewZone(
        origin=origin,
        caller_reference=reference,
        comment=config.get("Comment", ""),
        vpc=Vpc(vpc.get("VPCId", ""), vpc.get("VPCRegion", "")) if vpc else None,
    )


def read_batch(body: bytes) -> tuple[tuple[Edit, ...], str]:
    """The edits of ChangeResourceRecordSets, and its comment.

    Raises:
        Rejection: InvalidInput, InvalidChangeBatch, MalformedInput.
    """
    root = xml.children(xml.read(body, "ChangeResourceRecordSetsRequest"), "ChangeBatch")
    if "ChangeBatch" not in root:
        raise invalid_input("Invalid request: Missing field 'ChangeBatch'")
    batch = xml.children(root["ChangeBatch"], "Comment", "Changes")
    changes = list(batch.get("Changes", ()))
    if not changes or any(change.tag != "Change" for change in changes):
        raise invalid_input("Invalid request: 'Changes' must hold at least one 'Change'")
    edits, problems = [], []
    for change in changes:
        try:
            edits.append(_edit(change))
        except MalformedName as error:
            problems.append(str(error))
    if problems:
        raise invalid_batch(problems)
    comment = (batch["Comment"].text or "") if "Comment" in batch else ""
    if len(comment) > MAX_COMMENT:
        raise invalid_input(
            "1 validation error detected: Value at 'changeBatch.comment' failed to satisfy "
            f"constraint: Member must have length less than or equal to {MAX_COMMENT}"
        )
    return tuple(edits), comment


def _edit(change: Element) -> Edit:
    parts = xml.children(change, "Action", "ResourceRecordSet")
    if len(parts) != 2:
        raise invalid_input("Invalid request: a 'Change' needs 'Action' and 'ResourceRecordSet'")
    try:
        action = Action(parts["Action"].text or "")
    except ValueError as error:
        raise _constraint("action", parts["Action"].text, ", ".join(Action)) from error
    return Edit(action, _rrset(action, parts["ResourceRecordSet"]))


def _rrset(action: Action, record_set: Element) -> HostedRRset:
    parts = xml.children(record_set, *_SIMPLE, *_ROUTING)
    texts = {tag: part.text or "" for tag, part in parts.items()}
    name, rdtype = texts.get("Name", ""), texts.get("Type", "")
    if rdtype not in TYPES:
        raise _constraint("type", rdtype, f"one of {', '.join(sorted(TYPES))}")
    values = tuple(_values(parts.get("ResourceRecords", ())))
    sources = [("TTL" in parts or bool(values)), "AliasTarget" in parts]
    change = f"in Change with [Action={action}, Name={name}, Type={rdtype}]"
    if sources.count(True) != 1 or ("TTL" in parts) != bool(values):
        found = "more than one" if all(sources) else "none"
        raise invalid_input(
            f"Invalid request: Expected exactly one of {_SOURCES}, but found {found} {change}"
        )
    ttl = _number("tTL", texts.get("TTL", "0"), MAX_TTL)
    routing = tuple(_routing(parts[tag]) for tag in _ROUTING if tag in parts)
    _check_routing(routing, change)
    return HostedRRset(read_name(name), rdtype, ttl, values, routing)


def _routing(part: Element) -> tuple[str, str | Routing]:
    if not len(part):
        return part.tag, part.text or ""
    return part.tag, tuple((inner.tag, inner.text or "") for inner in part)


def _check_routing(routing: Routing, change: str) -> None:
    """One policy goes with one identifier."""
    tags = [tag for tag, _ in routing]
    policies = [tag for tag in tags if tag in POLICIES]
    if "SetIdentifier" in tags:
        identifier = str(dict(routing)["SetIdentifier"])
        if not 1 <= len(identifier) <= MAX_IDENTIFIER:
            raise _constraint("setIdentifier", identifier, f"1 to {MAX_IDENTIFIER} characters")
        if len(policies) != 1:
            raise invalid_input(
                f"Invalid request: Expected exactly one of [{', '.join(POLICIES)}], but found "
                f"none or more than one {change}"
            )
    elif policies:
        raise invalid_input(f"Invalid request: Missing field 'SetIdentifier' {change}")


def _values(records: Iterable[Element]) -> Iterator[str]:
    for record in records:
        if record.tag != "ResourceRecord":
            raise invalid_input(
                f"Invalid XML ; Invalid content was found starting with element '{record.tag}'."
            )
        yield xml.texts(record, "Value").get("Value", "")


def _number(field: str, text: str, limit: int) -> int:
    if not re.fullmatch("[0-9]{1,10}", text) or int(text) > limit:
        raise _constraint(field, text, f"a number from 0 to {limit}")
    return int(text)


def _constraint(field: str, value: str | None, needed: str) -> Rejection:
    return invalid_input(
        f"1 validation error detected: Value '{value or ''}' at "
        f"'changeBatch.changes.member.resourceRecordSet.{field}' failed to satisfy constraint: "
        f"Member must be {needed}"
    )


def rrset_element(rrset: HostedRRset) -> Element:
    """An RRset as a listing shows it."""
    values = [xml.element("ResourceRecord", xml.element("Value", text)) for text in rrset.texts]
    records = [xml.element("TTL", rrset.ttl), xml.element("ResourceRecords", *values)]
    return xml.element(
        "ResourceRecordSet",
        xml.element("Name", write_name(rrset.name)),
        xml.element("Type", rrset.rdtype),
        *map(_routing_element, rrset.routing),
        *(records if values else ()),
    )


def _routing_element(part: tuple[str, str | Routing]) -> Element:
    tag, content = part
    if isinstance(content, str):
        return xml.element(tag, content)
    return xml.element(tag, *map(_routing_element, content))


def zone_element(zone: HostedZone) -> Element:
    """A zone as a listing shows it."""
    return xml.element(
        "HostedZone",
        xml.element("Id", f"/hostedzone/{zone.id}"),
        xml.element("Name", write_name(zone.origin)),
        xml.element("CallerReference", zone.caller_reference),
        xml.element(
            "Config",
            *xml.optional("Comment", zone.comment),
            xml.element("PrivateZone", zone.private),
        ),
        xml.element("ResourceRecordSetCount", len(zone.rrsets)),
    )


def seen_from_element(zone: HostedZone) -> Element:
    """The network that sees a private zone, or the name servers of a public one."""
    if zone.vpc:
        region, identifier = zone.vpc.region, zone.vpc.id
        return xml.element(
            "VPC", xml.element("VPCRegion", region), xml.element("VPCId", identifier)
        )
    servers = [xml.element("NameServer", server.rstrip(".")) for server in NAME_SERVERS]
    return xml.element("DelegationSet", xml.element("NameServers", *servers))


def submission_element(submission: Submission, insync: bool) -> Element:
    """A change and its status."""
    date = submission.submitted_at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return xml.element(
        "ChangeInfo",
        xml.element("Id", f"/change/{submission.id}"),
        xml.element("Status", "INSYNC" if insync else "PENDING"),
        xml.element("SubmittedAt", date),
        *xml.optional("Comment", submission.comment),
    )


def error_document(rejection: Rejection, request_id: str) -> bytes:
    """What stands in place of an answer."""
    fault = "Sender" if rejection.status < 500 else "Receiver"
    error = xml.element(
        "Error",
        xml.element("Type", fault),
        xml.element("Code", rejection.code),
        xml.element("Message", rejection.message),
    )
    return xml.write("ErrorResponse", (error, xml.element("RequestId", request_id)))
