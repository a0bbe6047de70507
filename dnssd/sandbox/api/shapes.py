"""The shapes of Route 53's requests and answers, read from XML and written to it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from dnssd.errors import MalformedName, MalformedRecord
from dnssd.names import Name
from dnssd.records import MAX_TTL
from dnssd.sandbox.api import xml
from dnssd.sandbox.api.hostedzones import NAME_SERVERS, Submission, Vpc, Zone
from dnssd.sandbox.api.rejections import Rejection, invalid_batch, invalid_input
from dnssd.sandbox.api.rrsets import Action, Alias, Edit, Entry, Routing
from dnssd.sandbox.api.validation import TYPES, read_name
from dnssd.zones.route53.text import write_name

MAX_IDENTIFIER = 128  # characters of a set identifier
MAX_WEIGHT = 255
MAX_COMMENT = 256  # characters

_GEO = ("ContinentCode", "CountryCode", "SubdivisionCode")
_SOURCES = "[AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId]"
_POLICIES = "[Weight, Region, Failover, GeoLocation, MultiValueAnswer]"


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
    parts = xml.children(root, "Name", "VPC", "CallerReference", "HostedZoneConfig")
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
    return Edit(action, _entry(action, parts["ResourceRecordSet"]))


def _entry(action: Action, record_set: Element) -> Entry:
    parts = xml.children(
        record_set,
        *("Name", "Type", "SetIdentifier", "Weight", "Region", "GeoLocation", "Failover"),
        *("MultiValueAnswer", "TTL", "ResourceRecords", "AliasTarget", "HealthCheckId"),
    )
    texts = {tag: part.text or "" for tag, part in parts.items()}
    name, rdtype = texts.get("Name", ""), texts.get("Type", "")
    if rdtype not in TYPES:
        raise _constraint("type", rdtype, f"one of {', '.join(sorted(TYPES))}")
    identifier = texts.get("SetIdentifier")
    change = (
        f"in Change with [Action={action}, Name={name}, Type={rdtype}, "
        f"SetIdentifier={'null' if identifier is None else identifier}]"
    )
    values = tuple(_values(parts.get("ResourceRecords", ())))
    if "AliasTarget" in parts and ("TTL" in parts or values):
        raise invalid_input(
            f"Invalid request: Expected exactly one of {_SOURCES}, but found more than one {change}"
        )
    if "AliasTarget" not in parts and not ("TTL" in parts and values):
        raise invalid_input(
            f"Invalid request: Expected exactly one of {_SOURCES}, but found none {change}"
        )
    ttl = _number("tTL", texts.get("TTL", "0"), MAX_TTL)
    return Entry.of(read_name(name), rdtype, ttl, values, _routing(parts, texts, change))


def _routing(parts: dict[str, Element], texts: dict[str, str], change: str) -> Routing:
    identifier = texts.get("SetIdentifier")
    if identifier is not None and not 1 <= len(identifier) <= MAX_IDENTIFIER:
        raise _constraint("setIdentifier", identifier, f"1 to {MAX_IDENTIFIER} characters")
    weight = texts.get("Weight")
    geo = xml.texts(parts.get("GeoLocation"), *_GEO)
    try:
        return Routing(
            set_identifier=identifier or "",
            weight=None if weight is None else _number("weight", weight, MAX_WEIGHT),
            region=texts.get("Region", ""),
            failover=texts.get("Failover", ""),
            multivalue=texts.get("MultiValueAnswer") == "true",
            geo_location=tuple((tag, geo[tag]) for tag in _GEO if tag in geo),
            health_check_id=texts.get("HealthCheckId", ""),
            alias=_alias(parts.get("AliasTarget")),
        )
    except MalformedRecord as error:
        if not identifier:
            why = "Missing field 'SetIdentifier'"
        else:
            why = f"Expected exactly one of {_POLICIES}, but found none or more than one"
        raise invalid_input(f"Invalid request: {why} {change}") from error


def _alias(target: Element | None) -> Alias | None:
    if target is None:
        return None
    texts = xml.texts(target, "HostedZoneId", "DNSName", "EvaluateTargetHealth")
    if len(texts) != 3:
        raise invalid_input("Invalid request: an 'AliasTarget' needs all of its fields")
    return Alias(
        zone_id=texts["HostedZoneId"],
        target=read_name(texts["DNSName"]).lower(),
        evaluate_health=texts["EvaluateTargetHealth"] == "true",
    )


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


def entry_element(entry: Entry) -> Element:
    """An entry as a listing shows it, in the order that the model gives its parts."""
    routing, records = entry.routing, []
    if not routing.alias:
        values = [xml.element("ResourceRecord", xml.element("Value", v)) for v in entry.texts]
        records = [xml.element("TTL", entry.rrset.ttl), xml.element("ResourceRecords", *values)]
    geo = [xml.element(tag, code) for tag, code in routing.geo_location]
    return xml.element(
        "ResourceRecordSet",
        xml.element("Name", write_name(entry.name)),
        xml.element("Type", entry.rdtype),
        *xml.optional("SetIdentifier", routing.set_identifier),
        *xml.optional("Weight", routing.weight),
        *xml.optional("Region", routing.region),
        *([xml.element("GeoLocation", *geo)] if geo else []),
        *xml.optional("Failover", routing.failover),
        *xml.optional("MultiValueAnswer", "true" if routing.multivalue else ""),
        *records,
        *([_alias_element(routing.alias)] if routing.alias else []),
        *xml.optional("HealthCheckId", routing.health_check_id),
    )


def _alias_element(alias: Alias) -> Element:
    return xml.element(
        "AliasTarget",
        xml.element("HostedZoneId", alias.zone_id),
        xml.element("DNSName", write_name(alias.target)),
        xml.element("EvaluateTargetHealth", alias.evaluate_health),
    )


def zone_element(zone: Zone) -> Element:
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
        xml.element("ResourceRecordSetCount", len(zone.entries)),
    )


def vpc_elements(zone: Zone) -> tuple[Element, ...]:
    """The networks that see a private zone."""
    return tuple(
        xml.element("VPC", xml.element("VPCRegion", vpc.region), xml.element("VPCId", vpc.id))
        for vpc in zone.vpcs
    )


def delegation_element() -> Element:
    """The name servers of a public zone, without the last dot as Route 53 gives them here."""
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
