import dataclasses
from collections.abc import Iterable
from itertools import permutations
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.errors import NotFound
from dnssd.names import Name
from dnssd.records import Address, Opaque, Ptr, Rdata, Srv, Txt
from dnssd.resolver.attributes import Attributes
from dnssd.resolver.known import CachedRRset, Key, Known
from dnssd.resolver.snapshot import (
    MAX_ENDPOINTS,
    MAX_INSTANCES,
    Endpoint,
    Snapshot,
    build_snapshot,
)
from dnssd.services import ServiceName, parse_service_name

SERVICE = parse_service_name("_http._tcp.example.com")
INSTANCE = parse_service_name("v1._http._tcp.example.com")


Finding = tuple[Key, CachedRRset]


def found(name: str, expires_at: float, *values: Rdata) -> Finding:
    """What there is of one name, of the values' type."""
    return (Name.parse(name).key, values[0].rdtype), CachedRRset(values, expires_at)


def absent(name: str, rdtype: str, expires_at: float = 10.0) -> Finding:
    """That there is nothing of one name and type."""
    return (Name.parse(name).key, rdtype), CachedRRset((), expires_at)


def build(asked: ServiceName, findings: Iterable[Finding]) -> Snapshot:
    """The snapshot of some findings."""
    return build_snapshot(asked, dict(findings))


def ptr(*names: str) -> Finding:
    """What the service points to."""
    return found("_http._tcp.example.com.", 300, *(Ptr(Name.parse(name)) for name in names))


def srv(target: str, *, port: int = 80, priority: int = 0, weight: int = 0) -> Srv:
    """SRV rdata with defaults."""
    return Srv(priority, weight, port, Name.parse(target))


V1 = [
    found(
        "v1._http._tcp.example.com.", 60, srv("b.example.com.", priority=1), srv("a.example.com.")
    ),
    found("v1._http._tcp.example.com.", 90, Txt.from_pairs({"version": "1"})),
    found("a.example.com.", 40, Address.parse("10.0.0.7"), Address.parse("10.0.0.5")),
    found("A.Example.com.", 50, Address.parse("2001:db8::1")),
    absent("b.example.com.", "A", 30),
]


def test_an_instance_is_joined_from_its_answers() -> None:
    """SRV by priority, addresses by target whatever its case, the first expiry of all.

    That one target has no address says nothing about how long the others' hold.
    """
    snapshot = build(INSTANCE, V1)

    first, second = snapshot.endpoints
    assert snapshot.name == "v1._http._tcp.example.com."
    assert snapshot.status == "fresh"
    assert snapshot.expires_at == 40.0
    assert snapshot.ttl(10.0) == 30.0
    assert snapshot.ttl(2000.0) == 0.0
    assert first == Endpoint(
        target="a.example.com.",
        port=80,
        priority=0,
        weight=0,
        addresses=("10.0.0.7", "10.0.0.5", "2001:db8::1"),  # as the server orders them
        instance="v1",
        service="_http._tcp",
    )
    assert (second.target, second.addresses) == ("b.example.com.", ())
    assert snapshot.reachable == (first,)
    assert snapshot.txt["version"] == b"1"
    assert snapshot.instances[0].endpoints == snapshot.endpoints


@pytest.mark.parametrize(
    ("ways", "expected"),
    [
        ({"10.0.0.7", "2001:db8::1"}, ("10.0.0.7", "10.0.0.5", "2001:db8::1")),
        ({"2001:db8::1"}, ("2001:db8::1", "10.0.0.7", "10.0.0.5")),
        (set(), ("10.0.0.7", "10.0.0.5", "2001:db8::1")),
    ],
)
def test_an_address_that_this_host_can_send_to_comes_first(
    ways: set[str], expected: tuple[str, ...]
) -> None:
    """A host with IPv6 alone prints and takes no address that leads nowhere."""
    snapshot = build_snapshot(INSTANCE, dict(V1), has_way=ways.__contains__)

    assert snapshot.endpoints[0].addresses == expected
    assert snapshot.endpoints[0].url("http") == f"http://{snapshot.endpoints[0].authorities[0]}"


def test_a_snapshot_is_immutable() -> None:
    """It may be shared between threads."""
    snapshot = build(INSTANCE, V1)

    hash(snapshot)
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.status = "stale"  # type: ignore[misc]  # that is the test
    with pytest.raises(TypeError):
        snapshot.txt["version"] = b"2"  # type: ignore[index]  # that is the test


@given(st.permutations(V1))
def test_the_order_of_answers_does_not_matter(answers: list[Finding]) -> None:
    """Every order of the same answers gives an equal snapshot."""
    assert build(INSTANCE, answers) == build(INSTANCE, V1)


def test_a_service_joins_all_its_instances() -> None:
    """Endpoints of all instances together, by priority; pointers to nowhere are skipped."""
    snapshot = build(
        SERVICE,
        [
            ptr(
                "v1._http._tcp.example.com.",
                r"Café (old)\.2._http._tcp.example.com.",
                "gone._http._tcp.example.com.",
            ),
            *V1,
            found(r"Café (old)\.2._http._tcp.example.com.", 60, srv("c.example.com.", priority=0)),
        ],
    )

    assert [i.instance for i in snapshot.instances] == ["Café (old).2", "v1"]
    assert [(e.instance, e.target) for e in snapshot.endpoints] == [
        ("Café (old).2", "c.example.com."),
        ("v1", "a.example.com."),
        ("v1", "b.example.com."),
    ]
    assert dict(snapshot.txt) == {}


def test_plain_srv_records_are_an_instance_without_a_name() -> None:
    """A service that points to no instance may have SRV records itself (RFC 2782)."""
    snapshot = build(SERVICE, [found("_http._tcp.example.com.", 60, srv("a.example.com."))])

    assert [(i.name, i.instance) for i in snapshot.instances] == [("_http._tcp.example.com.", None)]
    assert snapshot.endpoints[0].instance is None


def test_pointers_win_over_plain_srv_records() -> None:
    """Where there are instances, the service's own SRV records are no part of it."""
    answers = [
        ptr("v1._http._tcp.example.com."),
        *V1,
        found("_http._tcp.example.com.", 60, srv("plain.example.com.")),
    ]

    assert "plain.example.com." not in {
        endpoint.target for endpoint in build(SERVICE, answers).endpoints
    }


def test_a_subtype_points_to_instances_of_its_service() -> None:
    """`_printer._sub._http._tcp` holds pointers to instances of `_http._tcp`."""
    asked = parse_service_name("_printer._sub._http._tcp.example.com")
    pointer = Ptr(Name.parse("v1._http._tcp.example.com."))

    snapshot = build(asked, [((asked.name.key, "PTR"), CachedRRset((pointer,), 60)), *V1])

    assert [instance.instance for instance in snapshot.instances] == ["v1"]


@pytest.mark.parametrize(
    "target",
    [
        ".",
        "example.com.",
        "v1._smtp._tcp.example.com.",
        "x.y._http._tcp.example.com.",
    ],
)
def test_pointers_to_no_instance_of_the_service_are_skipped(target: str) -> None:
    """A hostile zone cannot make a client take one service for another."""
    with pytest.raises(NotFound, match="nobody offers it"):
        build(SERVICE, [ptr(target), found(target, 60, srv("a.example.com."))])


def test_plain_srv_records_are_used_while_no_instance_is_offered() -> None:
    """Those of the service itself, written by hand before any host joined (RFC 2782)."""
    plain = found("_http._tcp.example.com.", 60, srv("a.example.com."))
    none = [ptr("v1._http._tcp.example.com."), found("v1._http._tcp.example.com.", 60, srv("."))]

    assert [e.instance for e in build(SERVICE, [*none, plain]).endpoints] == [None]
    assert [e.instance for e in build(SERVICE, [none[0], *V1, plain]).endpoints] == ["v1", "v1"]


def test_several_txt_records_are_one_whatever_their_order() -> None:
    """Some of them are another program's; keys of all of them are there."""
    records = [Txt((b"version=1",)), Txt((b"heritage=external-dns",)), Txt()]
    name = "v1._http._tcp.example.com."

    told = {
        build(INSTANCE, [found(name, 60, srv("a.example.com.")), found(name, 60, *order)]).instances
        for order in permutations(records)
    }

    ((instance,),) = told
    assert dict(instance.txt) == {"heritage": b"external-dns", "version": b"1"}


def test_targets_are_told_in_lower_case() -> None:
    """Some forwarders change it at will: who is held back or pooled is known by one name."""
    name = "v1._http._tcp.example.com."
    told = [
        build(INSTANCE, [found(name, 60, srv(t))]) for t in ("A.example.com.", "a.Example.COM.")
    ]

    assert told[0].endpoints == told[1].endpoints
    assert told[0].endpoints[0].target == "a.example.com."


@pytest.mark.parametrize(
    ("asked", "answers", "message"),
    [
        (SERVICE, [], "no such service"),
        (INSTANCE, [], "no such instance"),
        (INSTANCE, [ptr("v2._http._tcp.example.com.")], "no such instance"),
        (INSTANCE, [ptr("V1._http._tcp.example.com.")], "nobody offers it"),
        (INSTANCE, [V1[1]], "no such instance"),
        (SERVICE, [found("_http._tcp.example.com.", 60, Txt((b"v=spf1",)))], "no such service"),
        (INSTANCE, [ptr("v1._http._tcp.example.com."), V1[1]], "join a host to it"),
        (SERVICE, [ptr("v1._http._tcp.example.com.")], "nobody offers it"),
        (SERVICE, [ptr("v1._http._tcp.example.com."), V1[1]], "nobody offers it"),
        (INSTANCE, [found("v1._http._tcp.example.com.", 60, srv("."))], "it is not offered here"),
        (SERVICE, [found("_http._tcp.example.com.", 60, srv("."))], "it is not offered here"),
    ],
)
def test_nothing_there_is_told_from_not_offered(
    asked: ServiceName, answers: list[Finding], message: str
) -> None:
    """What does not exist is a typing mistake, what nobody offers an outage; TXT alone is neither.

    SRV records with the root as target are a decision (RFC 2782).
    """
    with pytest.raises(NotFound, match=message) as raised:
        build(asked, answers)

    assert raised.value.name == str(asked.name)


def test_an_instance_that_nobody_offers_is_listed_beside_one_that_is() -> None:
    """A target of "." means not offered here (RFC 2782): no endpoint of that instance."""
    snapshot = build(
        SERVICE,
        [
            ptr("v1._http._tcp.example.com.", "v2._http._tcp.example.com."),
            *V1,
            found("v2._http._tcp.example.com.", 60, srv(".")),
        ],
    )

    assert [(i.instance, len(i.endpoints)) for i in snapshot.instances] == [("v1", 2), ("v2", 0)]


def test_an_instance_that_is_not_utf_8_is_shown_escaped() -> None:
    """Such a label is illegal, but a client should reach what it points to."""
    snapshot = build(
        SERVICE,
        [
            ptr(r"\255._http._tcp.example.com."),
            found(r"\255._http._tcp.example.com.", 60, srv("a.example.com.")),
        ],
    )

    assert snapshot.instances[0].instance == r"\255"


def test_only_so_many_instances_and_endpoints_are_taken() -> None:
    """Somebody's huge zone costs a bounded amount of work."""
    many = [f"i{at}._http._tcp.example.com." for at in range(MAX_INSTANCES + 1)]
    five = [srv(f"h{at}.example.com.") for at in range(5)]

    snapshot = build(SERVICE, [ptr(*many), *(found(n, 60, *five) for n in many)])

    assert len(snapshot.instances) <= MAX_INSTANCES
    assert len(snapshot.endpoints) == MAX_ENDPOINTS


@pytest.mark.parametrize(
    ("target", "addresses", "url"),
    [
        ("a.example.com.", ("10.0.0.5", "2001:db8::1"), "http://10.0.0.5:4218"),
        ("a.example.com.", ("2001:db8::1",), "http://[2001:db8::1]:4218"),
        ("a.example.com.", (), "http://a.example.com:4218"),
        ("user@evil/?#x.example.com.", (), "http://user%40evil%2F%3F%23x.example.com:4218"),
    ],
)
def test_urls(target: str, addresses: tuple[str, ...], url: str) -> None:
    """The first address, IPv6 in brackets; a target cannot end the host's part early."""
    endpoint = Endpoint(target, 4218, 0, 0, addresses)

    assert endpoint.url("http") == url


def test_authorities_are_what_scripts_connect_to() -> None:
    """One for each address."""
    endpoint = Endpoint("a.example.com.", 80, 0, 0, ("10.0.0.5", "2001:db8::1"))

    assert endpoint.authorities == ("10.0.0.5:80", "[2001:db8::1]:80")


def test_attributes_are_found_whatever_the_case_of_their_key() -> None:
    """RFC 6763 section 6.4; a key without a value is there and None."""
    attributes = Attributes(Txt((b"Version=1", b"flag", b"version=2")))

    assert attributes["VERSION"] == b"1"
    assert attributes["flag"] is None
    assert "FLAG" in attributes
    assert "absent" not in attributes
    assert cast("str", 5) not in attributes
    assert attributes == {"Version": b"1", "flag": None}
    assert len(attributes) == 2
    assert "Version" in repr(attributes)


NAMES = st.sampled_from(
    [".", "_http._tcp.example.com.", "v1._http._tcp.example.com.", "a.example.com.", "a.b.c.d."]
).map(Name.parse)
RDATA = st.one_of(
    st.builds(Ptr, NAMES),
    st.builds(Srv, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), NAMES),
    st.builds(Txt, st.lists(st.binary(max_size=4), max_size=3).map(tuple)),
    st.ip_addresses(v=4).map(Address),
    st.just(Opaque("SRV", "nonsense")),
)
FINDINGS = st.dictionaries(
    st.tuples(NAMES, st.sampled_from(["PTR", "SRV", "TXT", "A", "AAAA"])),
    st.builds(CachedRRset, st.lists(RDATA, max_size=4).map(tuple), st.floats(0, 100)),
)


@given(st.sampled_from([SERVICE, INSTANCE]), FINDINGS)
def test_whatever_was_found_makes_a_sound_snapshot_or_none(
    asked: ServiceName, findings: Known
) -> None:
    """No order of records, no rdata under a wrong type and no loop of names breaks it."""
    try:
        snapshot = build_snapshot(asked, findings)
    except NotFound:
        return

    assert snapshot.endpoints
    priorities = [endpoint.priority for endpoint in snapshot.endpoints]
    assert priorities == sorted(priorities)
    assert set(snapshot.endpoints) == {e for i in snapshot.instances for e in i.endpoints}
    assert snapshot.expires_at in {found.expires_at for found in findings.values()}
    assert all(endpoint.target != "." for endpoint in snapshot.endpoints)
