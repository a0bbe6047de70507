"""How a resolver gathers answers, over a network that is made up."""

import logging
from collections.abc import Callable

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from dnssd.errors import NotFound, Unavailable, UsageError
from dnssd.resolver.client import Resolver
from dnssd.resolver.nameservers import NameServer
from dnssd.resolver.snapshot import MAX_INSTANCES

SERVICE = "_http._tcp.example.com."
SOA = dns.rrset.from_text("example.com.", 60, "IN", "SOA", "ns. host. 1 2 3 4 5")


class Network:
    """Servers of one data set.

    Args:
        records: Values by (name, type).
        additional: Whether SRV answers carry the addresses of their targets.
        silent: Servers, and (name, type) pairs, that nothing ever comes from.
        failing: (name, type) pairs that are answered with SERVFAIL.
    """

    def __init__(
        self,
        records: dict[tuple[str, str], list[str]],
        *,
        additional: bool = False,
        silent: tuple[object, ...] = (),
        failing: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.records = records
        self.additional = additional
        self.silent = silent
        self.failing = failing
        self.asked: list[tuple[str, str]] = []
        self.now = 0.0

    def resolver(self, nameservers: tuple[str, ...] = ("127.0.0.1",)) -> Resolver:
        """The client under test, which always draws the first."""
        return Resolver(
            nameservers,
            rng=lambda: 0.0,
            monotonic=lambda: self.now,
            exchange=self.exchange,
        )

    def exchange(
        self, query: dns.message.Message, server: NameServer, seconds: float, by_tcp: bool
    ) -> dns.message.Message:
        """Answer from the records at once, or let the time pass."""
        question = query.question[0]
        key = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append(key)
        if server.address in self.silent or key in self.silent:
            self.now += seconds
            raise dns.exception.Timeout
        response = dns.message.make_response(query)
        if key in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif values := self.records.get(key):
            response.answer.append(dns.rrset.from_text(key[0], 60, "IN", key[1], *values))
            if self.additional and key[1] == "SRV":
                self.add_addresses(response, values)
        else:
            response.authority.append(SOA)
        return dns.message.from_wire(response.to_wire(max_size=65535))

    def add_addresses(self, response: dns.message.Message, srvs: list[str]) -> None:
        """What most servers do for SRV questions."""
        for target in (srv.split()[3] for srv in srvs):
            for rdtype in ("A", "AAAA"):
                if values := self.records.get((target, rdtype)):
                    response.additional.append(
                        dns.rrset.from_text(target, 60, "IN", rdtype, *values)
                    )


TWO_INSTANCES = {
    (SERVICE, "PTR"): [f"v1.{SERVICE}", f"v2.{SERVICE}"],
    (f"v1.{SERVICE}", "SRV"): ["0 0 80 a.example.com."],
    (f"v2.{SERVICE}", "SRV"): ["1 0 80 b.example.com."],
    (f"v2.{SERVICE}", "TXT"): ['"x=1"'],
    ("a.example.com.", "A"): ["10.0.0.1"],
    ("b.example.com.", "AAAA"): ["2001:db8::2"],
}


@pytest.mark.parametrize("additional", [False, True])
def test_addresses_are_asked_for_only_where_they_are_missing(additional: bool) -> None:
    """The answer is the same; what came with SRV records is not asked for again."""
    network = Network(TWO_INSTANCES, additional=additional)

    snapshot = network.resolver().lookup(SERVICE)

    assert [(e.instance, e.addresses) for e in snapshot.endpoints] == [
        ("v1", ("10.0.0.1",)),
        ("v2", ("2001:db8::2",)),
    ]
    expected = [
        (SERVICE, "PTR"),
        *((f"{instance}.{SERVICE}", kind) for instance in ("v1", "v2") for kind in ("SRV", "TXT")),
    ]
    if not additional:
        expected += [(f"{host}.example.com.", kind) for host in "ab" for kind in ("A", "AAAA")]
    assert sorted(network.asked) == sorted(expected)


def test_an_instance_is_not_browsed_for() -> None:
    """Two questions and those for addresses; the pointer is asked for only if nothing is there."""
    network = Network(TWO_INSTANCES, additional=True)

    network.resolver().lookup(f"v1.{SERVICE}")
    assert sorted(network.asked) == [(f"v1.{SERVICE}", "SRV"), (f"v1.{SERVICE}", "TXT")]

    with pytest.raises(NotFound, match="no such instance"):
        network.resolver().lookup(f"v3.{SERVICE}")
    assert network.asked[-1] == (SERVICE, "PTR")


@pytest.mark.parametrize(
    "lost", [(SERVICE, "PTR"), (f"v2.{SERVICE}", "SRV"), (f"v2.{SERVICE}", "TXT")]
)
def test_a_service_is_never_known_in_part(lost: tuple[str, str]) -> None:
    """An instance whose records cannot be had is not left out silently."""
    network = Network(TWO_INSTANCES, failing=(lost,))

    with pytest.raises(Unavailable, match=f"{lost[1]}: .*SERVFAIL"):
        network.resolver().lookup(SERVICE)


def test_one_target_that_cannot_be_resolved_does_not_hide_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It stays in the snapshot, is told in the log, and is not picked."""
    network = Network(TWO_INSTANCES, failing=(("a.example.com.", "A"), ("a.example.com.", "AAAA")))
    resolver = network.resolver()

    with caplog.at_level(logging.WARNING, "dnssd"):
        snapshot = resolver.lookup(SERVICE)

    assert [(e.target, e.addresses) for e in snapshot.endpoints] == [
        ("a.example.com.", ()),
        ("b.example.com.", ("2001:db8::2",)),
    ]
    assert "a.example.com. A: 127.0.0.1:53 SERVFAIL" in caplog.text
    assert resolver.pick(SERVICE).target == "b.example.com."
    assert [e.target for e in resolver.order(SERVICE)] == ["b.example.com.", "a.example.com."]


def test_addresses_that_came_with_srv_records_do_not_make_a_failure_an_absence() -> None:
    """Where no address at all is known and a server failed, that is the answer."""
    network = Network(
        {(f"v1.{SERVICE}", "SRV"): ["0 0 80 a.example.com."]},
        failing=(("a.example.com.", "AAAA"),),
    )

    with pytest.raises(Unavailable, match=r"a\.example\.com\. AAAA"):
        network.resolver().lookup(f"v1.{SERVICE}")


def test_a_whole_look_up_keeps_to_its_time() -> None:
    """Its questions share two seconds, however many go unanswered."""
    network = Network(TWO_INSTANCES, silent=("127.0.0.1",))

    with pytest.raises(Unavailable, match="no answer"):
        network.resolver().lookup(SERVICE)
    assert network.now == 2.0


def test_the_last_of_many_name_servers_is_still_reached() -> None:
    """Patience with each is cut so that all can be asked, and is needed only once."""
    dead = tuple(f"127.0.0.{n}" for n in range(1, 8))
    network = Network(TWO_INSTANCES, silent=dead)

    snapshot = network.resolver((*dead, "127.0.0.9")).lookup(SERVICE)

    assert len(snapshot.endpoints) == 2
    assert network.now < 2.0


def test_a_huge_service_is_cut_off_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """No more than a thousand instances are asked about."""
    names = [f"v{n}.{SERVICE}" for n in range(MAX_INSTANCES + 5)]
    network = Network({(SERVICE, "PTR"): names})

    with caplog.at_level(logging.WARNING, "dnssd"), pytest.raises(NotFound):
        network.resolver().lookup(SERVICE)

    assert len({name for name, _ in network.asked}) == MAX_INSTANCES + 1
    assert "only 1000 instances" in caplog.text


def test_a_subtype_is_browsed_like_a_service() -> None:
    """Its pointers lead to instances of the service."""
    records = TWO_INSTANCES | {(f"_blue._sub.{SERVICE}", "PTR"): [f"v2.{SERVICE}"]}
    resolver = Network(records).resolver()

    assert [e.instance for e in resolver.lookup(f"_blue._sub.{SERVICE}").endpoints] == ["v2"]
    assert resolver.browse(f"_blue._sub.{SERVICE}") == ("v2",)


@pytest.mark.parametrize(
    "call",
    [
        lambda resolver: resolver.lookup("web"),
        lambda resolver: resolver.lookup("example.com."),
        lambda resolver: resolver.browse("http", "a..b"),
        lambda resolver: resolver.services("a..b"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_asked(
    call: Callable[[Resolver], object],
) -> None:
    """A usage error, and no question."""
    network = Network({})

    with pytest.raises(UsageError):
        call(network.resolver())
    assert network.asked == []


def test_a_resolver_may_be_used_after_and_closed_twice() -> None:
    """Nothing is kept open between look-ups."""
    with Network(TWO_INSTANCES).resolver() as resolver:
        resolver.lookup(SERVICE)
    resolver.close()
