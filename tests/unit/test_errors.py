"""Programs read the fields of errors; people read their one line."""

import copy
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dnssd import Registration, errors, join, leave
from dnssd.errors import DnssdError, OwnedByAnother
from dnssd.names import Name
from dnssd.records import Address, Opaque, Rdata
from dnssd.rrsets import Change, RRset
from dnssd.wire.nameservers import NameServer
from dnssd.zones.memory import MemoryZone
from dnssd.zones.route53.zone import Route53Zone
from kit.interleaving import patient
from kit.simnet import silent
from kit.simresolver import SimResolver

LEAVES = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, DnssdError)
]


@pytest.mark.parametrize("kind", LEAVES)
def test_every_error_has_the_same_fields(kind: type[DnssdError]) -> None:
    """Those that say nothing are None; copies and pickles keep them."""
    error = kind("a: b; c", name="web._http._tcp.example.com.", server="10.0.0.2:53", owner="x")

    for same in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 (ours)
        assert type(same) is kind
        assert str(same) == "a: b; c"
        assert (same.name, same.server) == ("web._http._tcp.example.com.", "10.0.0.2:53")
        assert (same.owner, same.truth) == ("x", None)
    assert (kind().name, str(kind())) == (None, "")


def test_what_is_true_in_the_zone_is_added() -> None:
    """In words at the end of the line, and as a field."""
    error = OwnedByAnother("member a-80: it is another's", owner="host/1").telling("it has joined")

    assert type(error) is OwnedByAnother
    assert str(error) == "member a-80: it is another's; it has joined"
    assert (error.owner, error.truth) == ("host/1", "it has joined")


ORIGIN_NAME, WEB = "example.com.", "web._http._tcp.example.com."


def answering(code: str) -> Any:
    """A session of which every request is answered with an error."""

    def client() -> Any:
        raise ClientError({"Error": {"Code": code, "Message": "a reason"}}, "ListHostedZonesByName")

    return SimpleNamespace(
        client=client, may_change=lambda _: False, region_from="AWS_REGION", renew=lambda: None
    )


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("Throttling", errors.DeadlineExceeded),
        ("AccessDenied", errors.AccessDenied),
        ("NoSuchHostedZone", errors.ZoneNotFound),
        ("InvalidInput", errors.ChangeRejected),
        ("InvalidChangeBatch", errors.Conflict),
        ("SomethingNew", errors.ZoneError),
    ],
)
def test_route53s_errors_say_which_zone_was_asked_about(code: str, kind: type[DnssdError]) -> None:
    """The end of the time hands on what the last failure knew."""
    zone = Route53Zone(answering(code), "Z1", Name.parse(ORIGIN_NAME))
    with pytest.raises(kind) as caught:
        zone.find_id(None, patient(0.5))

    assert (caught.value.name, caught.value.server) == (ORIGIN_NAME, "Route 53")


def member(host: str, **more: Any) -> Registration:
    """Port 80 of a host, in the instance web."""
    settings = {"service": "http", "instance": "web", "port": 80, "addresses": ["10.0.0.1"]}
    return Registration(host=host, **{**settings, **more})


LB: dict[str, Any] = {"target": "lb.example.org", "addresses": []}


@pytest.mark.parametrize(
    ("first", "then", "kind", "name", "owner"),
    [
        (member("a", owner="x"), member("a"), errors.OwnedByAnother, WEB, "x"),
        (member("a", **LB, owner="x"), member("b", **LB), errors.PlaceTaken, WEB, "x"),
        (
            member("a", owner="x"),
            member("a", port=81, owner="y"),
            errors.OwnedByAnother,
            "a.example.com.",
            "x",
        ),
    ],
)
def test_refusals_say_whose_it_is(
    first: Registration, then: Registration, kind: type[DnssdError], name: str, owner: str
) -> None:
    """And about which name, and what the zone is like now."""
    zone = MemoryZone(Name.parse(ORIGIN_NAME))
    join(zone, first)
    with pytest.raises(kind) as caught:
        join(zone, then)

    assert (caught.value.name, caught.value.owner) == (name, owner)
    assert caught.value.truth in ("nothing was written", "its announcement was withdrawn")
    with pytest.raises(errors.OwnedByAnother) as left:
        leave(zone, member("a", owner="z"))
    assert (left.value.name, left.value.owner) == (WEB, "x")


@pytest.mark.parametrize(
    ("rdtype", "value", "kind", "name"),
    [
        ("CNAME", Opaque("CNAME", "b.example.com."), errors.NotShareable, WEB),
        ("A", Address.parse("10.0.0.9"), errors.AddressConflict, "a.example.com."),
    ],
)
def test_what_is_in_the_way_is_named(
    rdtype: str, value: Rdata, kind: type[DnssdError], name: str
) -> None:
    """By the name that it stands at, which is not always the instance's."""
    zone = MemoryZone(Name.parse(ORIGIN_NAME))
    zone.commit([Change(None, RRset(Name.parse(name), rdtype, 60, (value,)))], patient())
    with pytest.raises(kind) as caught:
        join(zone, member("a"))

    assert (caught.value.name, caught.value.owner) == (name, None)


def test_lookups_say_which_name_and_who_was_asked() -> None:
    """Also where nothing is there, and where two servers kept silent."""
    servers = (NameServer("10.0.0.53"), NameServer("2001:db8::53"))
    with pytest.raises(errors.Unavailable) as unanswered:
        SimResolver({}, servers=servers, fault=silent).lookup(WEB)
    with pytest.raises(errors.NotFound) as absent:
        SimResolver({}).lookup(WEB)

    assert unanswered.value.name == absent.value.name == WEB
    assert unanswered.value.server == "10.0.0.53:53, [2001:db8::53]:53"
