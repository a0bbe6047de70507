"""Route 53's operations: from a request to a response, without the network.

A feature that stands between client and zone (a rate limit, a policy, an injected fault)
is a function from one `Handler` to another, laid around `operations(zones)`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice
from typing import TypeVar
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from dnssd.errors import MalformedName
from dnssd.names import Name
from dnssd.sandbox.api import shapes, xml
from dnssd.sandbox.api.exchange import Handler, Request, Response, check_signature, refusal
from dnssd.sandbox.api.hostedzones import HostedZone, HostedZones, Submission
from dnssd.sandbox.api.rejections import Rejection, invalid_input
from dnssd.sandbox.api.rrsets import listing_key
from dnssd.sandbox.api.validation import TYPES, read_name
from dnssd.zones.route53.text import write_name

MAX_LISTED_RRSETS = 300  # on a page
MAX_LISTED_ZONES = 100


T = TypeVar("T")
Operation = Callable[[HostedZones, Request, str], Response]


def operations(zones: HostedZones) -> Handler:
    """The operations on `zones`; a request that is refused is answered with the error."""
    return partial(_handle, zones)


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


def _handle(zones: HostedZones, request: Request) -> Response:
    try:
        operation, resource = _find(request)
        check_signature(request)
        return operation(zones, request, resource)
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


def create_hosted_zone(zones: HostedZones, request: Request, _: str) -> Response:
    """CreateHostedZone."""
    new = shapes.read_new_zone(request.body)
    zone = zones.create_zone(
        new.origin, caller_reference=new.caller_reference, comment=new.comment, vpc=new.vpc
    )
    info = _info(zones, zones.submit())
    parts = (shapes.zone_element(zone), info, shapes.seen_from_element(zone))
    location = f"http://{request.headers.get('host', 'sandbox')}{_ROOT}/hostedzone/{zone.id}"
    body = xml.write("CreateHostedZoneResponse", parts)
    return Response(201, body, (("Location", location),))


def delete_hosted_zone(zones: HostedZones, request: Request, zone_id: str) -> Response:
    """DeleteHostedZone."""
    zones.delete_zone(zone_id)
    return _ok("DeleteHostedZoneResponse", _info(zones, zones.submit()))


def get_hosted_zone(zones: HostedZones, request: Request, zone_id: str) -> Response:
    """GetHostedZone."""
    zone = zones.zone(zone_id)
    seen = shapes.seen_from_element(zone)
    if zone.private:
        seen = xml.element("VPCs", seen)
    return _ok("GetHostedZoneResponse", shapes.zone_element(zone), seen)


def list_hosted_zones(zones: HostedZones, request: Request, _: str) -> Response:
    """ListHostedZones: in the order in which they were made."""
    listed, marker = zones.zones(), request.query.get("marker", "")
    ids = [zone.id for zone in listed]
    if marker and marker not in ids:
        raise invalid_input(f"The marker {marker} is not a hosted zone")
    limit = _max_items(request.query, MAX_LISTED_ZONES)
    page, following = _page(listed[ids.index(marker) if marker else 0 :], limit)
    return _ok(
        "ListHostedZonesResponse",
        xml.element("HostedZones", *map(shapes.zone_element, page)),
        xml.element("Marker", marker),
        xml.element("IsTruncated", following is not None),
        *xml.optional("NextMarker", following.id if following else None),
        xml.element("MaxItems", limit),
    )


def list_hosted_zones_by_name(zones: HostedZones, request: Request, _: str) -> Response:
    """ListHostedZonesByName: by reversed labels, then by identifier."""
    name, zone_id = _start_name(request.query, "dnsname"), request.query.get("hostedzoneid", "")
    if zone_id and not name:
        raise invalid_input("hostedzoneid needs dnsname")
    limit = _max_items(request.query, MAX_LISTED_ZONES)
    start = (listing_key(name.key), zone_id) if name else ("", "")
    ordered = sorted(zones.zones(), key=_zone_key)
    page, following = _page((zone for zone in ordered if _zone_key(zone) >= start), limit)
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


def change_resource_record_sets(zones: HostedZones, request: Request, zone_id: str) -> Response:
    """ChangeResourceRecordSets."""
    zones.zone(zone_id)
    edits, comment = shapes.read_batch(request.body)
    submission = zones.change(zone_id, edits, comment=comment)
    return _ok("ChangeResourceRecordSetsResponse", _info(zones, submission))


def list_resource_record_sets(zones: HostedZones, request: Request, zone_id: str) -> Response:
    """ListResourceRecordSets: by reversed labels, then by type and set identifier."""
    zone, limit = zones.zone(zone_id), _max_items(request.query, MAX_LISTED_RRSETS)
    name = _start_name(request.query, "name")
    rdtype, identifier = (request.query.get(field, "") for field in ("type", "identifier"))
    if rdtype and rdtype not in TYPES:
        raise invalid_input(f"The type {rdtype} is not valid")
    if (rdtype and not name) or (identifier and not rdtype):
        raise invalid_input("The type needs a name to start at, the identifier a name and a type")
    start = (listing_key(name.key), rdtype, identifier) if name else ("", "", "")
    page, following = _page(zone.since(start), limit)
    next_record: list[Element] = []
    if following:
        next_record = [
            xml.element("NextRecordName", write_name(following.name)),
            xml.element("NextRecordType", following.rdtype),
            *xml.optional("NextRecordIdentifier", following.set_identifier),
        ]
    return _ok(
        "ListResourceRecordSetsResponse",
        xml.element("ResourceRecordSets", *map(shapes.rrset_element, page)),
        xml.element("IsTruncated", following is not None),
        *next_record,
        xml.element("MaxItems", limit),
    )


def list_health_checks(zones: HostedZones, request: Request, _: str) -> Response:
    """ListHealthChecks: there are none, since there is no operation to make one.

    Tools ask nevertheless, before they write a record that could have one.
    """
    return _ok(
        "ListHealthChecksResponse",
        xml.element("HealthChecks"),
        xml.element("Marker", request.query.get("marker", "")),
        xml.element("IsTruncated", False),
        xml.element("MaxItems", _max_items(request.query, MAX_LISTED_ZONES)),
    )


def get_change(zones: HostedZones, request: Request, change_id: str) -> Response:
    """GetChange."""
    return _ok("GetChangeResponse", _info(zones, zones.submission(change_id)))


def _info(zones: HostedZones, submission: Submission) -> Element:
    return shapes.submission_element(submission, zones.insync(submission))


def _page(items: Iterable[T], limit: int) -> tuple[list[T], T | None]:
    """The first `limit` items, and the one after them if there is one."""
    found = list(islice(items, limit + 1))
    return found[:limit], found[limit] if len(found) > limit else None


def _max_items(query: Mapping[str, str], limit: int) -> int:
    """How many items a request wants: `limit` at the most, and if it does not say."""
    text = query.get("maxitems", str(limit))
    if not re.fullmatch("0*[1-9][0-9]{0,8}", text):
        raise invalid_input(f"maxitems {text} is not a positive number")
    return min(int(text), limit)


def _start_name(query: Mapping[str, str], field: str) -> Name | None:
    """The name that a listing shall start at, in lower case; None for the first."""
    text = query.get(field)
    if not text:
        return None
    try:
        return read_name(text).lower()
    except MalformedName as error:
        raise invalid_input(str(error)) from error


def _ok(tag: str, *parts: Element) -> Response:
    return Response(200, xml.write(tag, parts))


def _zone_key(zone: HostedZone) -> tuple[str, str]:
    return listing_key(zone.origin.key), zone.id


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
