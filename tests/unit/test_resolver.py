"""From what name servers say to what clients are told, over a network that is made up."""

import logging
import threading
from collections.abc import Callable

import pytest

from dnssd.errors import NotFound, Unavailable, UsageError
from dnssd.names import Name
from dnssd.resolver.balance import choose
from dnssd.resolver.browsing import domains_of, instances_of, services_in
from dnssd.resolver.client import Resolver
from dnssd.resolver.known import FIRST_RETRY
from dnssd.resolver.lookup import GRACE
from dnssd.resolver.snapshot import MAX_INSTANCES
from dnssd.services import parse_service_name
from dnssd.wire.answers import Answer
from dnssd.wire.nameservers import NameServer
from kit.simnet import BROKEN, SERVICE, Fault, Records, honest, saying, servfail, silent, where
from kit.simresolver import SimResolver

TWO_INSTANCES: Records = {
    (SERVICE, "PTR"): [f"v1.{SERVICE}", f"v2.{SERVICE}"],
    (f"v1.{SERVICE}", "SRV"): ["0 0 80 a.example.com."],
    (f"v2.{SERVICE}", "SRV"): ["1 0 80 b.example.com."],
    (f"v2.{SERVICE}", "TXT"): ['"x=1"'],
    ("a.example.com.", "A"): ["10.0.0.1"],
    ("b.example.com.", "AAAA"): ["2001:db8::2"],
}


def pointers(sim: SimResolver, name: Name) -> Answer:
    """The PTR records of a name."""
    came: list[Answer | Unavailable] = []
    sim.engine.pointers(name, came.append)
    sim.until(lambda: bool(came))
    assert isinstance(came[0], Answer)
    return came[0]


@pytest.mark.parametrize("additional", [False, True])
def test_addresses_are_asked_for_only_where_they_are_missing(additional: bool) -> None:
    """The answer is the same; what came with SRV records is not asked for again."""
    sim = SimResolver(TWO_INSTANCES, additional=additional)

    snapshot = sim.lookup(SERVICE)

    assert [(e.instance, e.addresses) for e in snapshot.endpoints] == [
        ("v1", ("10.0.0.1",)),
        ("v2", ("2001:db8::2",)),
    ]
    expected = {
        (SERVICE, "PTR"),
        *((f"{instance}.{SERVICE}", kind) for instance in ("v1", "v2") for kind in ("SRV", "TXT")),
    }
    if not additional:
        expected |= {(f"{host}.example.com.", kind) for host in "ab" for kind in ("A", "AAAA")}
    assert sim.network.asked == dict.fromkeys(expected, 1)


def test_a_healthy_network_takes_one_round_trip_for_each_stage() -> None:
    """Questions that do not depend on each other are asked side by side."""
    assert took(SERVICE, additional=False) == pytest.approx(0.003)
    assert took(SERVICE, additional=True) == pytest.approx(0.002)
    assert took(f"v1.{SERVICE}", additional=False) == pytest.approx(0.002)
    assert took(f"v1.{SERVICE}", additional=True) == pytest.approx(0.001)


def took(name: str, *, additional: bool) -> float:
    """How long a look-up takes where each answer takes a millisecond, in seconds."""
    sim = SimResolver(TWO_INSTANCES, additional=additional)
    begin = sim.now
    sim.lookup(name)
    return sim.now - begin


def test_an_instance_is_not_browsed_for() -> None:
    """Two questions and those for addresses; the pointer is asked for only if nothing is there."""
    sim = SimResolver(TWO_INSTANCES, additional=True)

    sim.lookup(f"v1.{SERVICE}")
    assert set(sim.network.asked) == {(f"v1.{SERVICE}", "SRV"), (f"v1.{SERVICE}", "TXT")}

    with pytest.raises(NotFound, match="no such instance"):
        sim.lookup(f"v3.{SERVICE}")
    assert sim.network.queries[-1].key == (SERVICE, "PTR")


@pytest.mark.parametrize("lost", [(f"v2.{SERVICE}", "SRV"), (f"v2.{SERVICE}", "TXT")])
def test_what_cannot_be_had_of_a_service_hides_nothing_else_and_is_asked_for_soon(
    lost: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """What is there is served soon; what lacks is told, by the snapshot and in the log."""
    sim = SimResolver(TWO_INSTANCES, fault=where(lambda query: query.key == lost, servfail))
    begin = sim.now

    with caplog.at_level(logging.WARNING, "dnssd"):
        snapshot = sim.lookup(SERVICE)
        assert sim.now - begin < 2 * GRACE
        sim.advance(sim.limits.timeout)

    assert {e.instance for e in snapshot.endpoints} == (
        {"v1", "v2"} if lost[1] == "TXT" else {"v1"}
    )
    assert snapshot.missing == (" ".join(lost),)
    assert f"{' '.join(lost)}: 10.0.0.53:53 SERVFAIL" in caplog.text
    sim.network.fault = honest
    sim.advance(2 * FIRST_RETRY)
    assert {e.instance for e in sim.lookup(SERVICE).endpoints} == {"v1", "v2"}
    assert sim.lookup(SERVICE).missing == ()


@pytest.mark.parametrize("additional", [False, True])
@pytest.mark.parametrize("what", ["TXT", "AAAA", f"v2.{SERVICE}", "b.example.com."])
@pytest.mark.parametrize(
    "fault",
    [
        *map(saying, ("REFUSED", "SERVFAIL", "NOTIMP", "FORMERR", "BADVERS", "NXRRSET")),
        *map(BROKEN.__getitem__, ("drop", "garbage", "tc", "nosoa", "wrong-id")),
        lambda query: [(0.001, "connection refused")],
    ],
)
def test_no_fault_of_an_optional_part_takes_an_endpoint_away(
    fault: Fault, what: str, additional: bool
) -> None:
    """Whatever a path or a server does to a type, an instance or a host: the rest is served."""
    both: Records = {
        **TWO_INSTANCES,
        ("a.example.com.", "AAAA"): ["2001:db8::1"],
        ("b.example.com.", "A"): ["10.0.0.2"],
    }
    sim = SimResolver(
        both, fault=where(lambda query: what in query.key, fault), additional=additional
    )
    begin = sim.now

    found = {e.instance: e.addresses for e in sim.lookup(SERVICE).endpoints}

    assert "10.0.0.1" in found["v1"]
    assert ("v2" in found) == (what != f"v2.{SERVICE}")
    assert sim.now - begin <= 2 * GRACE


@pytest.mark.parametrize(
    "fault", [silent, saying("REFUSED"), lambda query: [(0.001, "connection refused")]]
)
def test_a_server_that_answers_by_tcp_alone_is_heard(fault: Fault) -> None:
    """UDP is given up on soon, and once TCP has answered it is not tried first again."""
    sim = SimResolver(TWO_INSTANCES, fault=where(lambda query: not query.by_tcp, fault))
    begin = sim.now
    assert len(sim.lookup(SERVICE).endpoints) == 2
    assert sim.now - begin < GRACE

    sim.advance(10)
    before = len(sim.network.queries)
    sim.engine.clear()
    sim.lookup(SERVICE)
    assert all(query.by_tcp for query in sim.network.queries[before:])

    sim.network.fault = where(lambda query: query.by_tcp, silent)
    sim.engine.clear()
    assert len(sim.lookup(SERVICE).endpoints) == 2
    assert not sim.network.queries[-1].by_tcp


def test_a_service_that_nobody_tells_the_instances_of_is_not_known() -> None:
    """It is no service without any, unless it has plain SRV records."""
    broken = where(lambda query: query.key == (SERVICE, "PTR"), servfail)
    sim = SimResolver(TWO_INSTANCES, fault=broken)
    with pytest.raises(Unavailable, match=r"PTR: .*SERVFAIL"):
        sim.lookup(SERVICE)

    plain: Records = {
        (SERVICE, "SRV"): ["0 0 80 a.example.com."],
        ("a.example.com.", "A"): ["10.0.0.1"],
    }
    sim = SimResolver(plain, fault=broken)
    assert [e.target for e in sim.lookup(SERVICE).endpoints] == ["a.example.com."]


def test_hand_written_records_are_used_until_an_instance_is_offered() -> None:
    """The service has plain SRV records, then a host joins and leaves again."""
    plain: Records = {
        (SERVICE, "SRV"): ["0 0 80 b.example.com."],
        ("b.example.com.", "A"): ["10.0.0.9"],
    }
    defined: Records = {(SERVICE, "PTR"): [f"v1.{SERVICE}"], (f"v1.{SERVICE}", "TXT"): ['"a=1"']}

    for records, targets in (
        (plain, ["b.example.com."]),
        (plain | defined, ["b.example.com."]),
        (plain | TWO_INSTANCES, ["a.example.com.", "b.example.com."]),
    ):
        assert [e.target for e in SimResolver(records).lookup(SERVICE).endpoints] == targets


def test_one_target_that_cannot_be_resolved_does_not_hide_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It stays in the snapshot, is told in the log, and is not picked."""
    broken = where(lambda query: query.key[0] == "a.example.com.", servfail)
    sim = SimResolver(TWO_INSTANCES, fault=broken)

    with caplog.at_level(logging.WARNING, "dnssd"):
        snapshot = sim.lookup(SERVICE)
        sim.advance(sim.limits.timeout)

    assert [(e.target, e.addresses) for e in snapshot.endpoints] == [
        ("a.example.com.", ()),
        ("b.example.com.", ("2001:db8::2",)),
    ]
    assert "a.example.com. A: 10.0.0.53:53 SERVFAIL" in caplog.text
    assert {sim.pick(SERVICE).target for _ in range(50)} == {"b.example.com."}
    order = choose(snapshot.endpoints).order(sim.rng)
    assert [e.target for e in order] == ["b.example.com.", "a.example.com."]


def test_addresses_that_came_with_srv_records_do_not_make_a_failure_an_absence() -> None:
    """Where no address at all is known and a server failed, that is the answer."""
    sim = SimResolver(
        {(f"v1.{SERVICE}", "SRV"): ["0 0 80 a.example.com."]},
        fault=where(lambda query: query.key == ("a.example.com.", "AAAA"), servfail),
    )

    with pytest.raises(Unavailable, match=r"a\.example\.com\. AAAA"):
        sim.lookup(f"v1.{SERVICE}")


@pytest.mark.parametrize("lost", ["PTR", "SRV", "A"])
def test_a_whole_look_up_keeps_to_its_time(lost: str) -> None:
    """Its stages share two seconds, however many questions go unanswered."""
    sim = SimResolver(
        {**TWO_INSTANCES, ("b.example.com.", "AAAA"): []},
        fault=where(lambda query: query.key[1] == lost, silent),
    )
    begin = sim.now

    with pytest.raises(Unavailable, match="no answer"):
        sim.lookup(SERVICE)
    assert sim.now == begin + 2.0


def test_the_last_of_many_name_servers_is_still_reached() -> None:
    """And is the first to be asked from then on."""
    dead = tuple(NameServer(f"10.0.0.{n}") for n in range(1, 8))
    alive = NameServer("10.0.0.9")
    sim = SimResolver(
        TWO_INSTANCES,
        servers=(*dead, alive),
        fault=where(lambda query: query.server != alive, silent),
    )

    begin = sim.now
    assert len(sim.lookup(SERVICE).endpoints) == 2
    assert sim.now - begin < 1.0
    before = sim.questions
    sim.lookup(f"v1.{SERVICE}")
    assert {query.server for query in sim.network.queries[before:]} == {alive}


def test_a_huge_service_is_cut_off_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """No more than a thousand instances are asked about."""
    sim = SimResolver({(SERVICE, "PTR"): [f"v{n}.{SERVICE}" for n in range(MAX_INSTANCES + 5)]})

    with caplog.at_level(logging.WARNING, "dnssd"), pytest.raises(NotFound):
        sim.lookup(SERVICE)

    assert len({name for name, _ in sim.network.asked}) == MAX_INSTANCES + 1
    assert "only 1000 instances" in caplog.text


def test_a_subtype_is_browsed_like_a_service() -> None:
    """Its pointers lead to instances of the service."""
    blue = f"_blue._sub.{SERVICE}"
    sim = SimResolver(TWO_INSTANCES | {(blue, "PTR"): [f"v2.{SERVICE}"]})
    listing = instances_of(parse_service_name(blue))

    assert [e.instance for e in sim.lookup(blue).endpoints] == ["v2"]
    assert listing.of([pointers(sim, name) for name in listing.names]) == ("v2",)


@pytest.mark.parametrize(
    ("label", "instance"),
    [
        (r"Caf\195\169\0322", "Café 2"),
        (r"a\.b", "a.b"),
        (r"\027[2J", r"\027[2J"),
        (r"\255", r"\255"),
        ("x" * 63, "x" * 63),
    ],
)
def test_an_instance_may_have_any_name(label: str, instance: str) -> None:
    """Found by browsing, looked up by that name, and told as text."""
    name = f"{label}.{SERVICE}"
    sim = SimResolver(
        {
            (SERVICE, "PTR"): [name],
            (name, "SRV"): ["0 0 80 a.example.com."],
            ("a.example.com.", "A"): ["10.0.0.1"],
        }
    )

    (endpoint,) = sim.lookup(SERVICE).endpoints
    assert (endpoint.instance, endpoint.addresses) == (instance, ("10.0.0.1",))
    assert instances_of(parse_service_name(SERVICE)).of([pointers(sim, Name.parse(SERVICE))]) == (
        instance,
    )


def test_an_instance_that_stands_in_another_domain_keeps_it() -> None:
    """What browsing tells can be looked up."""
    there = r"caf\195\169\.2._http._tcp.Example.org."
    sim = SimResolver({(SERVICE, "PTR"): [f"web.{SERVICE}", there]})

    told = instances_of(parse_service_name(SERVICE)).of([pointers(sim, Name.parse(SERVICE))])

    assert told == ("web", "café.2._http._tcp.Example.org.")
    assert parse_service_name(told[1]).name == Name.parse(there)


def test_an_instance_is_looked_up_by_its_name_as_people_write_it() -> None:
    """UTF-8, spaces and dots as they are."""
    name = rf"Caf\195\169\0322\.0.{SERVICE}"
    sim = SimResolver(
        {(name, "SRV"): ["0 0 80 a.example.com."], ("a.example.com.", "A"): ["10.0.0.1"]}
    )

    assert sim.lookup(f"Café 2.0.{SERVICE}").instances[0].instance == "Café 2.0"


def test_txt_data_keep_their_four_states() -> None:
    """Absent, no value, empty and any bytes; of a key given twice, the first (RFC 6763)."""
    sim = SimResolver(
        TWO_INSTANCES | {(f"v1.{SERVICE}", "TXT"): [r'"a=1" "A=2" "flag" "empty=" "b=\255=" "=x"']}
    )

    txt = sim.lookup(f"v1.{SERVICE}").txt

    assert dict(txt) == {"a": b"1", "flag": None, "empty": b"", "b": b"\xff="}
    assert "other" not in txt


def test_pointers_to_nowhere_and_instances_without_txt_are_no_obstacle() -> None:
    """What is there counts."""
    records = {key: values for key, values in TWO_INSTANCES.items() if key[1] != "TXT"}
    records[SERVICE, "PTR"] = [f"v1.{SERVICE}", f"gone.{SERVICE}", "stranger.example.org."]
    sim = SimResolver(records)

    snapshot = sim.lookup(SERVICE)

    assert [(i.instance, dict(i.txt)) for i in snapshot.instances] == [("v1", {})]


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ({}, "no such service"),
        ({(SERVICE, "PTR"): [f"v1.{SERVICE}"]}, "nobody offers it"),
        ({(SERVICE, "PTR"): [f"v1.{SERVICE}"], (f"v1.{SERVICE}", "TXT"): ['"a"']}, "nobody offers"),
        ({(SERVICE, "SRV"): ["0 0 0 ."]}, "it is not offered here"),
        ({(SERVICE, "PTR"): [f"v1.{SERVICE}"], (f"v1.{SERVICE}", "SRV"): ["0 0 0 ."]}, "target ."),
    ],
)
def test_a_service_without_endpoints_is_not_found(records: Records, message: str) -> None:
    """Nothing there, or defined and nobody there."""
    with pytest.raises(NotFound, match=message):
        SimResolver(records).lookup(SERVICE)


def test_plain_srv_records_are_a_service_too() -> None:
    """RFC 2782, with no pointer to an instance."""
    sim = SimResolver(
        {
            (SERVICE, "SRV"): ["0 0 80 a.example.com.", "0 0 0 ."],
            ("a.example.com.", "A"): ["10.0.0.2", "10.0.0.1"],
            ("a.example.com.", "AAAA"): ["2001:db8::1"],
        }
    )

    (endpoint,) = sim.lookup(SERVICE).endpoints

    assert endpoint.instance is None
    assert sorted(endpoint.addresses[:2]) == ["10.0.0.1", "10.0.0.2"]  # as the server orders them
    assert endpoint.addresses[2:] == ("2001:db8::1",)


def test_two_hundred_targets_come_by_tcp() -> None:
    """What does not fit into a datagram; the next time TCP is asked at once."""
    name = f"v1.{SERVICE}"
    records: Records = {(name, "SRV"): [f"0 0 80 h{n}.example.com." for n in range(200)]}
    records |= {(f"h{n}.example.com.", "A"): [f"10.0.0.{n}"] for n in range(200)}
    sim = SimResolver(records)

    assert len({e.addresses for e in sim.lookup(name).endpoints}) == 200
    assert sim.network.asked[name, "SRV"] == 2
    sim.advance(50)
    assert sim.network.asked[name, "SRV"] == 3
    assert sim.lookup(name).status == "fresh"


def test_service_types_are_enumerated() -> None:
    """RFC 6763 section 9; what is no service type is passed over."""
    listing = services_in("example.com")
    (name,) = listing.names
    types = ["_smtp._tcp.example.com.", SERVICE, "nonsense.example.com.", "_x._sctp.example.com."]
    sim = SimResolver({(str(name), "PTR"): types})

    assert str(name) == "_services._dns-sd._udp.example.com."
    assert listing.of([pointers(sim, name)]) == ("_http._tcp", "_smtp._tcp", "_x._sctp")


def test_browsing_domains_are_found_under_all_their_names() -> None:
    """RFC 6763 section 11; each is told once."""
    listing = domains_of("example.com")
    sim = SimResolver(
        {
            ("b._dns-sd._udp.example.com.", "PTR"): ["b.example.com.", "a.example.com."],
            ("lb._dns-sd._udp.example.com.", "PTR"): ["a.example.com."],
        }
    )

    assert listing.of([pointers(sim, name) for name in listing.names]) == (
        "a.example.com.",
        "b.example.com.",
    )


WRONG: tuple[object, ...] = (b"web._http._tcp.example.com", None, [], "_http._tcp.example.com\n")


def calling(name: str, *words: object) -> Callable[[Resolver], object]:
    """What calls a method so, whatever type checkers say."""
    return lambda resolver: getattr(resolver, name)(*words)


@pytest.mark.parametrize(
    "call",
    [
        lambda resolver: resolver.lookup("web"),
        lambda resolver: resolver.lookup("example.com."),
        lambda resolver: resolver.pick("example.com."),
        lambda resolver: resolver.order("example.com."),
        lambda resolver: resolver.watch("example.com."),
        lambda resolver: resolver.browse("http", "a..b"),
        lambda resolver: resolver.browse(f"v1.{SERVICE}"),
        lambda resolver: resolver.services("a..b"),
        lambda resolver: resolver.domains("a..b"),
        *(
            calling(call, wrong)
            for call in ("lookup", "pick", "order", "connect", "watch", "services", "browse")
            for wrong in WRONG
        ),
        calling("browse", "http", b"example.com"),
        calling("report", None, True),
    ],
)
def test_wrong_words_are_refused_before_anything_is_asked(
    call: Callable[[Resolver], object],
) -> None:
    """A usage error, and neither a question nor a thread to ask it."""
    before = threading.enumerate()

    with Resolver(["127.0.0.1:9"]) as resolver, pytest.raises(UsageError):
        call(resolver)
    assert threading.enumerate() == before
