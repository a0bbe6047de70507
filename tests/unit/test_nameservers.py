import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.errors import Unavailable, UsageError
from dnssd.names import Name
from dnssd.records import Address, RRset, parse_rdata
from dnssd.resolver.nameservers import (
    MAX_ALIASES,
    ROUNDS,
    NameServer,
    NameServers,
    system_nameservers,
)

ONE, TWO = NameServer("127.0.0.1", 5301), NameServer("127.0.0.1", 5302)
NAME = Name.parse("a.example.com.")
SOA = "example.com. 60 IN SOA ns. host. 1 2 3 4 5"
A = "a.example.com. 60 IN A 10.0.0.5"

Reply = Callable[[dns.message.Message], dns.message.Message]


def says(
    *answer: str,
    rcode: str = "NOERROR",
    authority: tuple[str, ...] = (),
    more: tuple[str, ...] = (),
) -> Reply:
    """A reply that holds records given as text."""

    def reply(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.from_text(rcode))
        sections = (
            (response.answer, answer),
            (response.authority, authority),
            (response.additional, more),
        )
        for section, lines in sections:
            for line in lines:
                name, ttl, _, rdtype, data = line.split(maxsplit=4)
                section.append(dns.rrset.from_text(name, int(ttl), "IN", rdtype, data))
        return dns.message.from_wire(response.to_wire())

    return reply


def fails(error: Exception | type[Exception]) -> Reply:
    """No reply but an error."""

    def reply(query: dns.message.Message) -> dns.message.Message:
        raise error

    return reply


TIMEOUT = fails(dns.exception.Timeout)
NODATA = says(authority=(SOA,))


class Network:
    """What servers reply, one after the other; a server's last reply is repeated."""

    def __init__(self, replies: dict[NameServer, list[Reply]]) -> None:
        self.replies = replies
        self.asked: list[NameServer] = []
        self.queries: list[dns.message.Message] = []
        self.by_tcp: list[bool] = []
        self.now = 0.0

    def exchange(
        self, query: dns.message.Message, server: NameServer, seconds: float, by_tcp: bool
    ) -> dns.message.Message:
        """Reply at once, or let the time pass for which an answer was awaited."""
        self.asked.append(server)
        self.queries.append(query)
        self.by_tcp.append(by_tcp)
        replies = self.replies[server]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if reply is TIMEOUT:
            self.now += seconds
        return reply(query)

    def servers(self, patience: float = 0.5) -> NameServers:
        """The client under test."""
        return NameServers(
            tuple(self.replies),
            patience=patience,
            monotonic=lambda: self.now,
            exchange=self.exchange,
        )


def ask(*replies: Reply, rdtype: str = "A") -> RRset | None:
    """Ask the only server, which replies so."""
    rrset, _ = Network({ONE: list(replies)}).servers().ask(NAME, rdtype, 2.0)
    return rrset


ADDRESS = RRset(NAME, "A", 60, (Address.parse("10.0.0.5"),))


def test_an_answer_becomes_an_rrset() -> None:
    """Values, TTL, and the name as it was asked for."""
    assert ask(says(A)) == ADDRESS
    assert ask(says(A.upper())) == ADDRESS


@pytest.mark.parametrize(
    ("rdtype", "text"),
    [
        ("SRV", "1 2 80 b.example.com."),
        ("PTR", r"My\.Web\032\195\169._http._tcp.example.com."),
        ("TXT", r'"a=\255\"" ""'),
        ("A", "10.0.0.5"),
        ("AAAA", "2001:db8::1"),
    ],
)
def test_every_type_is_read(rdtype: str, text: str) -> None:
    """Rdata from a message equals rdata from text."""
    rrset = ask(says(f"a.example.com. 60 IN {rdtype} {text}"), rdtype=rdtype)

    assert rrset == RRset(NAME, rdtype, 60, (parse_rdata(rdtype, text),))


def test_a_ttl_of_more_than_31_bits_is_zero() -> None:
    """RFC 2181 section 8."""
    rrset = ask(says(f"a.example.com. {2**31} IN A 10.0.0.5"))

    assert rrset is not None
    assert rrset.ttl == 0


def test_labels_are_asked_for_as_they_are() -> None:
    """UTF-8 and spaces go out as bytes, never as IDNA, with EDNS and 1232 octets."""
    network = Network({ONE: [NODATA]})
    name = Name((b"Caf\xc3\xa9 1", b"_http", b"_tcp", b"\xff"))

    network.servers().ask(name, "SRV", 2.0)

    (query,) = network.queries
    assert query.question[0].name.labels == (*name.labels, b"")
    assert (query.edns, query.payload) == (0, 1232)
    assert query.flags & dns.flags.RD


@pytest.mark.parametrize("rcode", ["NXDOMAIN", "NOERROR"])
def test_a_negative_answer_with_soa_is_believed_at_once(rcode: str) -> None:
    """That is what makes it an answer (RFC 2308)."""
    network = Network({ONE: [says(rcode=rcode, authority=(SOA,))]})

    assert network.servers().ask(NAME, "A", 2.0)[0] is None
    assert len(network.asked) == 1


@pytest.mark.parametrize("rcode", ["NXDOMAIN", "NOERROR"])
def test_a_negative_answer_without_soa_is_questioned(rcode: str) -> None:
    """It may be a fault: believed only if nobody ever says anything else."""
    lie = says(rcode=rcode)

    assert ask(lie, says(A)) == ADDRESS
    assert ask(lie) is None
    with pytest.raises(Unavailable, match="SERVFAIL"):
        ask(lie, says(rcode="SERVFAIL"), lie)


@pytest.mark.parametrize(
    "failure",
    [
        TIMEOUT,
        fails(ConnectionResetError(104, "Connection reset by peer")),
        fails(EOFError),
        fails(dns.exception.FormError),
        says(rcode="SERVFAIL"),
        says(rcode="REFUSED"),
        says(rcode="NOTIMP"),
        says(authority=("example.com. 60 IN NS ns.example.com.",)),
        says(A, rcode="NXDOMAIN"),
    ],
)
def test_the_only_server_gets_another_chance(failure: Reply) -> None:
    """No failure ends a look-up while there is time."""
    assert ask(failure, failure, says(A)) == ADDRESS


def test_a_server_that_knows_no_edns_is_asked_without() -> None:
    """FORMERR to a question with an OPT record may mean just that."""
    network = Network({ONE: [says(rcode="FORMERR"), says(A)]})

    assert network.servers().ask(NAME, "A", 2.0)[0] == ADDRESS
    assert [query.edns for query in network.queries] == [0, -1]
    assert ask(says(rcode="FORMERR"), says()) is None


def cut(query: dns.message.Message) -> dns.message.Message:
    """What `exchange` does with an answer that is too long for UDP."""
    raise dns.message.Truncated


def test_an_answer_cut_short_is_asked_for_by_tcp() -> None:
    """At once, and at the same server; if TCP fails, the next turn begins with UDP again."""
    network = Network({ONE: [cut, says(A)], TWO: [says()]})

    assert network.servers().ask(NAME, "A", 2.0)[0] == ADDRESS
    assert (network.asked, network.by_tcp) == ([ONE, ONE], [False, True])

    network = Network({ONE: [cut, TIMEOUT, cut, says(A)]})
    assert network.servers().ask(NAME, "A", 2.0)[0] == ADDRESS
    assert network.by_tcp == [False, True, False, True]


def test_an_answer_cut_short_by_tcp_is_none() -> None:
    """TC means nothing there; a part must not pass for the whole."""

    def short(query: dns.message.Message) -> dns.message.Message:
        response = says(A)(query)
        response.flags |= dns.flags.TC
        return response

    with pytest.raises(Unavailable, match="cut short"):
        ask(cut, short)


def test_servers_are_asked_in_turn_and_the_one_that_answered_first_next_time() -> None:
    """A dead server costs its patience once, not with every question."""
    network = Network({ONE: [TIMEOUT], TWO: [says(A)]})
    servers = network.servers()

    assert servers.ask(NAME, "A", 2.0)[0] == ADDRESS
    assert network.asked == [ONE, TWO]
    assert servers.ask(NAME, "A", 2.0)[0] == ADDRESS
    assert network.asked == [ONE, TWO, TWO]


def test_loud_failures_end_before_the_time_does() -> None:
    """Servers that say no are not asked for ever; the error names each and its reason."""
    network = Network({ONE: [says(rcode="REFUSED")], TWO: [says(rcode="SERVFAIL")]})

    with pytest.raises(Unavailable) as caught:
        network.servers().ask(NAME, "SRV", 2.0)

    assert network.asked == [ONE, TWO] * ROUNDS
    assert str(caught.value).startswith(
        "a.example.com. SRV: 127.0.0.1:5301 REFUSED, 127.0.0.1:5302 SERVFAIL; "
    )


def test_silence_ends_at_the_deadline() -> None:
    """No question is asked after it, and none waits beyond it."""
    network = Network({ONE: [TIMEOUT]})

    with pytest.raises(Unavailable, match="no answer"):
        network.servers(patience=0.75).ask(NAME, "A", 2.0)

    assert network.now == 2.0
    assert len(network.asked) == 3


def test_no_time_left_is_said() -> None:
    """A deadline that has passed before the question."""
    network = Network({ONE: [says(A)]})

    with pytest.raises(Unavailable, match="no time left"):
        network.servers().ask(NAME, "A", 0.0)
    assert network.asked == []


def test_aliases_in_one_answer_are_followed() -> None:
    """The RRset stands under the name that was asked for, with the shortest TTL."""
    rrset = ask(
        says(
            "a.example.com. 30 IN CNAME b.example.com.",
            "b.example.com. 90 IN CNAME c.example.com.",
            "c.example.com. 60 IN A 10.0.0.5",
        )
    )

    assert rrset == RRset(NAME, "A", 30, ADDRESS.values)


def test_an_alias_that_leads_elsewhere_is_asked_for() -> None:
    """An authoritative server ends the chain where its zones end."""
    network = Network(
        {
            ONE: [
                says("a.example.com. 30 IN CNAME b.example.org."),
                says("b.example.org. 60 IN A 10.0.0.5"),
            ]
        }
    )

    rrset, _ = network.servers().ask(NAME, "A", 2.0)

    assert rrset == RRset(NAME, "A", 30, ADDRESS.values)
    assert network.queries[1].question[0].name.to_text() == "b.example.org."


def test_an_alias_to_nothing_is_nothing() -> None:
    """The chain ends with a negative answer."""
    assert ask(says("a.example.com. 30 IN CNAME b.example.com.", authority=(SOA,))) is None


@pytest.mark.parametrize(
    "alias", ["a.example.com. 30 IN CNAME a.example.com.", "a.example.com. 1 IN CNAME b.x."]
)
def test_endless_aliases_end(alias: str) -> None:
    """Loops inside an answer and from answer to answer cost a bounded number of questions."""

    def chase(query: dns.message.Message) -> dns.message.Message:
        asked = query.question[0].name.to_text()
        return says(
            alias.replace("a.example.com. 1 IN CNAME b.x.", f"{asked} 1 IN CNAME x{asked}")
        )(query)

    network = Network({ONE: [chase]})

    with pytest.raises(Unavailable):
        network.servers().ask(NAME, "A", 2.0)
    assert len(network.asked) <= max(MAX_ALIASES, ROUNDS)


def test_additional_addresses_are_handed_on() -> None:
    """Addresses only: nothing else in that section is of use."""
    network = Network(
        {
            ONE: [
                says(
                    "a.example.com. 60 IN SRV 0 0 80 b.example.com.",
                    more=(
                        "b.example.com. 60 IN A 10.0.0.5",
                        "b.example.com. 60 IN TXT x",
                        "b.example.com. 60 IN AAAA 2001:db8::1",
                    ),
                )
            ]
        }
    )

    _, answer = network.servers().ask(NAME, "SRV", 2.0)

    assert [(str(more.name), more.rdtype) for more in answer.additional] == [
        ("b.example.com.", "A"),
        ("b.example.com.", "AAAA"),
    ]


@given(st.data())
def test_mangled_answers_are_read_or_refused(data: st.DataObject) -> None:
    """Any octets may change on the way: an answer comes of it, or Unavailable."""

    def mangle(query: dns.message.Message) -> dns.message.Message:
        wire = bytearray(
            says(
                "a.example.com. 9 IN CNAME b.",
                "b. 9 IN SRV 0 0 80 c.",
                more=("c. 9 IN A 10.0.0.5",),
            )(query).to_wire()
        )
        changes = st.lists(
            st.tuples(st.integers(2, len(wire) - 1), st.integers(0, 255)), min_size=1, max_size=4
        )
        for at, octet in data.draw(changes):
            wire[at] = octet
        return dns.message.from_wire(bytes(wire[: data.draw(st.integers(12, len(wire)))]))

    try:
        rrset = ask(mangle, mangle, rdtype="SRV")
    except Unavailable as error:
        message = str(error)
    else:
        message = str(rrset and rrset.name)
    assert message.isprintable()


@pytest.fixture
def _known_hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def getaddrinfo(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host != "ns.example.com":
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("192.0.2.53", 0))]

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


@pytest.mark.usefixtures("_known_hosts")
@pytest.mark.parametrize(
    ("text", "server", "shown"),
    [
        ("10.0.0.2", NameServer("10.0.0.2", 53), "10.0.0.2:53"),
        ("10.0.0.2:5300", NameServer("10.0.0.2", 5300), "10.0.0.2:5300"),
        ("2001:db8::1", NameServer("2001:db8::1", 53), "[2001:db8::1]:53"),
        ("[2001:db8::1]", NameServer("2001:db8::1", 53), "[2001:db8::1]:53"),
        ("[2001:db8::1]:5300", NameServer("2001:db8::1", 5300), "[2001:db8::1]:5300"),
        ("::1", NameServer("::1", 53), "[::1]:53"),
        ("ns.example.com", NameServer("192.0.2.53", 53), "192.0.2.53:53"),
        ("ns.example.com:5300", NameServer("192.0.2.53", 5300), "192.0.2.53:5300"),
    ],
)
def test_name_servers_are_given_as_people_write_them(
    text: str, server: NameServer, shown: str
) -> None:
    """Addresses and host names, with and without a port."""
    assert NameServer.parse(text) == server
    assert str(server) == shown


@pytest.mark.usefixtures("_known_hosts")
@pytest.mark.parametrize(
    "text",
    [
        "",
        ":53",
        "10.0.0.2:",
        "10.0.0.2:0",
        "10.0.0.2:65536",
        "10.0.0.2:x",
        "10.0.0.2:٥",
        "[10.0.0.2]",
        "[::1",
        "::1]:53",
        "[::1]x:53",
        "1::2::3",
        "[::1]:-1",
    ],
)
def test_what_is_no_name_server_is_refused(text: str) -> None:
    """The error shows the three forms."""
    with pytest.raises(UsageError, match="write HOST, HOST:PORT"):
        NameServer.parse(text)


@pytest.mark.usefixtures("_known_hosts")
def test_an_unknown_host_is_no_name_server() -> None:
    """The system's resolver was asked, and does not know it."""
    with pytest.raises(Unavailable, match="address is not known"):
        NameServer.parse("nowhere.example.com")


def test_the_systems_name_servers(tmp_path: Path) -> None:
    """Lines that say anything else, or nothing legal, are passed over."""
    path = tmp_path / "resolv.conf"
    path.write_text(
        "# comment\nsearch example.com\nnameserver 10.0.0.2\n nameserver\t::1 # x\n"
        "nameserver\nnameserver nonsense\noptions ndots:5\nnameserver fe80::1%lo\n"
    )

    assert [str(server) for server in system_nameservers(path)] == [
        "10.0.0.2:53",
        "[::1]:53",
        "[fe80::1%lo]:53",
    ]


@pytest.mark.parametrize("text", [None, "", "search example.com\n"])
def test_a_system_without_name_servers(tmp_path: Path, text: str | None) -> None:
    """The error says what to do."""
    path = tmp_path / "resolv.conf"
    if text is not None:
        path.write_text(text)

    with pytest.raises(UsageError, match="--nameserver"):
        system_nameservers(path)
