"""Route 53's operations: from a request to a response, without the network.

A feature that stands between client and zone (a rate limit, a policy, an injected fault)
is a function from one `Handler` to another, laid around `operations(store)`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from dnssd.sandbox.api import shapes, xml
from dnssd.sandbox.api.hostedzones import Store, Zone
from dnssd.sandbox.api.paging import max_items, page_of, start_name
from dnssd.sandbox.api.rejections import Rejection, invalid_input
from dnssd.sandbox.api.rrsets import listing_key
from dnssd.sandbox.api.signature import check_signature
from dnssd.sandbox.api.validation import TYPES
from dnssd.zones.route53.text import write_name

MAX_LISTED_ENTRIES = 300  # on a page
MAX_LISTED_ZONES = 100
MAX_USER_AGENT = 1000  # characters that are looked at


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came.

    Attributes:
        id: Given to it by the server.
        path: Percent-encoded.
        headers: By name in lower case.
    """

    id: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def user_agent(self) -> str:
        """What the client calls itself."""
        return self.headers.get("user-agent", "")[:MAX_USER_AGENT]


class Delivery(Enum):
    """How much of an answer reaches the client; less than all ends the connection."""

    WHOLE = auto()
    HALF = auto()
    NONE = auto()


@dataclass(frozen=True, slots=True)
class Response:
    """An answer.

    Attributes:
        error: The code of the error that it reports, None if it reports none.
        fault: The name of the fault that was injected into it, None if none was.
    """

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    error: str | None = None
    content_type: str = "text/xml"
    delivery: Delivery = Delivery.WHOLE
    fault: str | None = None


Handler = Callable[[Request], Response]
Wrap = Callable[[Handler], Handler]
Operation = Callable[[Store, Request, str], Response]


def operations(store: Store) -> Handler:
    """The operations on `store`; a request that is refused is answered with the error."""
    return partial(_handle, store)


def action(request: Request) -> str:
    """The name of the operation that a request asks for; empty if there is none."""
    try:
        operation, _ = _find(request)
    except Rejection:
        return ""
    return "".join(word.title() for word in operation.__name__.split("_"))


def resource(request: Request) -> str:
    """The identifier of the zone or change that a request is about; empty if there is none."""
    try:
        return _find(request)[1]
    except Rejection:
        return ""


def refusal(request_id: str, rejection: Rejection) -> Response:
    """The answer to a request that is refused."""
    body = shapes.error_document(rejection, request_id)
    return Response(rejection.status, body, error=rejection.code)


def _handle(store: Store, request: Request) -> Response:
    try:
        operation, resource = _find(request)
        check_signature(request.headers)
        return operation(store, request, resource)
    except Rejection as rejection:
        return refusal(request.id, rejection)


def _find(request: Request) -> tuple[Operation, str]:
    """The operation, and the identifier in the path."""
    methods = [
        (method, operation, match)
        for method, pattern, operation in _ROUTES
        if (match := pattern.fullmatch(request.path))
    ]
    for method, operation, match in methods:
        if method == request.method:
            return operation, unquote("".join(match.groups()))
    if methods:
        raise Rejection("MethodNotAllowed", f"{request.method} is not allowed here", 405)
    raise Rejection("UnknownOperation", "No operation of Route 53 has this path", 404)


def create_hosted_zone(store: Store, request: Request, _: str) -> Response:
    """CreateHostedZone."""
    new = shapes.read_new_zone(request.body)
    zone = store.create_zone(
        new.origin, caller_reference=new.caller_reference, comment=new.comment, vpc=new.vpc
    )
    parts = (
        shapes.zone_element(zone),
        shapes.submission_element(zone.creation, store.insync(zone.creation)),
        *(shapes.vpc_elements(zone) or [shapes.delegation_element()]),
    )
    body = xml.write("CreateHostedZoneResponse", parts)
    return Response(201, body, (("Location", f"/2013-04-01/hostedzone/{zone.id}"),))


def delete_hosted_zone(store: Store, request: Request, zone_id: str) -> Response:
    """DeleteHostedZone."""
    submission = store.delete_zone(zone_id)
    info = shapes.submission_element(submission, store.insync(submission))
    return _ok("DeleteHostedZoneResponse", info)


def get_hosted_zone(store: Store, request: Request, zone_id: str) -> Response:
    """GetHostedZone."""
    zone = store.zone(zone_id)
    if zone.private:
        seen = xml.element("VPCs", *shapes.vpc_elements(zone))
    else:
        seen = shapes.delegation_element()
    return _ok("GetHostedZoneResponse", shapes.zone_element(zone), seen)


def list_hosted_zones(store: Store, request: Request, _: str) -> Response:
    """ListHostedZones: in the order in which they were made."""
    zones, marker = store.zones(), request.query.get("marker", "")
    ids = [zone.id for zone in zones]
    if marker and marker not in ids:
        raise invalid_input(f"The marker {marker} is not a hosted zone")
    limit = max_items(request.query, MAX_LISTED_ZONES)
    page, following = page_of(zones[ids.index(marker) if marker else 0 :], limit)
    return _ok(
        "ListHostedZonesResponse",
        xml.element("HostedZones", *map(shapes.zone_element, page)),
        xml.element("Marker", marker),
        xml.element("IsTruncated", following is not None),
        *xml.optional("NextMarker", following.id if following else None),
        xml.element("MaxItems", limit),
    )


def list_hosted_zones_by_name(store: Store, request: Request, _: str) -> Response:
    """ListHostedZonesByName: by reversed labels, then by identifier."""
    name, zone_id = start_name(request.query, "dnsname"), request.query.get("hostedzoneid", "")
    if zone_id and not name:
        raise invalid_input("hostedzoneid needs dnsname")
    limit = max_items(request.query, MAX_LISTED_ZONES)
    start = (listing_key(name), zone_id) if name else ("", "")
    ordered = sorted(store.zones(), key=_zone_key)
    page, following = page_of((zone for zone in ordered if _zone_key(zone) >= start), limit)
    return _ok(
        "ListHostedZonesByNameResponse",
        xml.element("HostedZones", *map(shapes.zone_element, page)),
        *xml.optional("DNSName", write_name(name) if name else None),
        *xml.optional("HostedZoneId", zone_id),
        xml.element("IsTruncated", following is not None),
        *xml.optional("NextDNSName", write_name(following.origin) if following else None),
        *xml.optional("NextHostedZoneId", following.id if following else None),
        xml.element("MaxItems", limit),
    )


def change_resource_record_sets(store: Store, request: Request, zone_id: str) -> Response:
    """ChangeResourceRecordSets."""
    store.zone(zone_id)
    edits, comment = shapes.read_batch(request.body)
    submission = store.change(zone_id, edits, comment=comment, user_agent=request.user_agent)
    info = shapes.submission_element(submission, store.insync(submission))
    return _ok("ChangeResourceRecordSetsResponse", info)


def list_resource_record_sets(store: Store, request: Request, zone_id: str) -> Response:
    """ListResourceRecordSets: by reversed labels, then by type and set identifier."""
    zone, limit = store.zone(zone_id), max_items(request.query, MAX_LISTED_ENTRIES)
    name = start_name(request.query, "name")
    rdtype, identifier = (request.query.get(field, "") for field in ("type", "identifier"))
    if rdtype and rdtype not in TYPES:
        raise invalid_input(f"The type {rdtype} is not valid")
    if (rdtype and not name) or (identifier and not rdtype):
        raise invalid_input("The type needs a name to start at, the identifier a name and a type")
    start = (listing_key(name), rdtype, identifier) if name else ("", "", "")
    page, following = page_of(zone.since(start), limit)
    next_record: list[Element] = []
    if following:
        next_record = [
            xml.element("NextRecordName", write_name(following.name)),
            xml.element("NextRecordType", following.rdtype),
            *xml.optional("NextRecordIdentifier", following.routing.set_identifier),
        ]
    return _ok(
        "ListResourceRecordSetsResponse",
        xml.element("ResourceRecordSets", *map(shapes.entry_element, page)),
        xml.element("IsTruncated", following is not None),
        *next_record,
        xml.element("MaxItems", limit),
    )


def list_health_checks(store: Store, request: Request, _: str) -> Response:
    """ListHealthChecks: there are none, since there is no operation to make one.

    Tools ask nevertheless, before they write a record that could have one.
    """
    return _ok(
        "ListHealthChecksResponse",
        xml.element("HealthChecks"),
        xml.element("Marker", request.query.get("marker", "")),
        xml.element("IsTruncated", False),
        xml.element("MaxItems", max_items(request.query, MAX_LISTED_ZONES)),
    )


def get_change(store: Store, request: Request, change_id: str) -> Response:
    """GetChange."""
    submission = store.submission(change_id)
    info = shapes.submission_element(submission, store.insync(submission))
    return _ok("GetChangeResponse", info)


def _ok(tag: str, *parts: Element) -> Response:
    return Response(200, xml.write(tag, parts))


def _zone_key(zone: Zone) -> tuple[str, str]:
    return listing_key(zone.origin), zone.id


_ROOT = "/2013-04-01"
_ROUTES: tuple[tuple[str, re.Pattern[str], Operation], ...] = (
    ("POST", re.compile(f"{_ROOT}/hostedzone/?"), create_hosted_zone),
    ("GET", re.compile(f"{_ROOT}/hostedzone/?"), list_hosted_zones),
    ("GET", re.compile(f"{_ROOT}/hostedzonesbyname/?"), list_hosted_zones_by_name),
    ("GET", re.compile(f"{_ROOT}/hostedzone/([^/]+)"), get_hosted_zone),
    ("DELETE", re.compile(f"{_ROOT}/hostedzone/([^/]+)"), delete_hosted_zone),
    ("POST", re.compile(f"{_ROOT}/hostedzone/([^/]+)/rrset/?"), change_resource_record_sets),
    ("GET", re.compile(f"{_ROOT}/hostedzone/([^/]+)/rrset/?"), list_resource_record_sets),
    ("GET", re.compile(f"{_ROOT}/healthcheck/?"), list_health_checks),
    ("GET", re.compile(f"{_ROOT}/change/([^/]+)"), get_change),
)
