import random
from dataclasses import dataclass, field

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.names import Name
from dnssd.sandbox.api.hostedzones import HostedZones, Vpc
from dnssd.sandbox.api.rrsets import Action, Edit, HostedRRset, Routing
from dnssd.sandbox.dns.answers import respond

SEEDED = 7


@dataclass
class Server:
    """A store, and questions to it without any socket."""

    store: HostedZones = field(default_factory=HostedZones)
    rng: random.Random = field(default_factory=lambda: random.Random(SEEDED))

    def add_zone(self, origin: str, *, private: bool = False) -> str:
        """Make a zone; its identifier."""
        reference = f"{origin}-{len(self.store.zones())}"
        return self.store.create_zone(
            Name.parse(origin), vpc=Vpc() if private else None, caller_reference=reference
        ).id

    def put(
        self,
        name: str,
        rdtype: str,
        *texts: str,
        ttl: int = 60,
        routing: Routing = (),
        zone_id: str | None = None,
    ) -> None:
        """Put an RRset into a zone, the first one if none is named."""
        entry = HostedRRset(Name.parse(name), rdtype, ttl, texts, routing)
        zone_id = zone_id or self.store.zones()[0].id
        self.store.change(zone_id, [Edit(Action.UPSERT, entry)])

    def send(self, message: bytes, *, stream: bool = False) -> list[bytes]:
        """What the server sends back."""
        return list(respond(message, self.store.zones(), self.rng, stream=stream))

    def ask(
        self, name: str, rdtype: str, *, stream: bool = False, payload: int | None = None
    ) -> dns.message.Message:
        """Ask one question; the answer as dnspython reads it."""
        query = _make_query(name, rdtype, payload=payload)
        (response,) = self.send(query.to_wire(), stream=stream)
        message = dns.message.from_wire(response)
        assert query.is_response(message)
        return message


def _make_query(name: str, rdtype: str, *, payload: int | None = None) -> dns.message.QueryMessage:
    labels = dns.name.Name((*Name.parse(name).labels, b""))
    query = dns.message.make_query(labels, rdtype)
    if payload is not None:
        query.use_edns(0, payload=payload)
    return query


def _texts(section: list[dns.rrset.RRset]) -> list[str]:
    return sorted(rdata.to_text() for rrset in section for rdata in rrset)


def _owners(section: list[dns.rrset.RRset]) -> set[str]:
    return {rrset.name.to_text() for rrset in section}


def _soa_ttl(message: dns.message.Message) -> int:
    (rrset,) = message.authority
    assert rrset.rdtype == dns.rdatatype.SOA
    return rrset.ttl


@pytest.fixture
def server() -> Server:
    """A server of the empty zone `example.test`."""
    server = Server()
    server.add_zone("example.test")
    return server


def test_an_srv_answer_carries_the_addresses_of_its_targets(server: Server) -> None:
    """A and AAAA records of targets in the zone save the client two questions (RFC 2782)."""
    server.put(
        "web._http._tcp.example.test",
        "SRV",
        "0 1 80 a.example.test.",
        "0 2 81 b.example.test.",
        "0 3 82 a.elsewhere.test.",
        "0 0 0 .",
    )
    server.put("a.example.test", "A", "10.0.0.1", "10.0.0.2")
    server.put("b.example.test", "AAAA", "2001:db8::1")

    response = server.ask("web._http._tcp.example.test", "SRV", payload=1232)

    assert _texts(response.answer) == [
        "0 0 0 .",
        "0 1 80 a.example.test.",
        "0 2 81 b.example.test.",
        "0 3 82 a.elsewhere.test.",
    ]
    assert _texts(response.additional) == ["10.0.0.1", "10.0.0.2", "2001:db8::1"]


def test_the_header_says_authoritative_and_no_recursion(server: Server) -> None:
    """AA is set, RA clear, and RD is the asker's."""
    server.put("a.example.test", "A", "10.0.0.1", ttl=37)
    query = _make_query("a.example.test", "A")

    for recursion_desired in (True, False):
        query.flags = dns.flags.RD if recursion_desired else dns.flags.Flag(0)
        response = dns.message.from_wire(server.send(query.to_wire())[0])

        assert response.flags == dns.flags.QR | dns.flags.AA | query.flags
        assert response.answer[0].ttl == 37


def test_a_ptr_answer_carries_nothing_additional(server: Server) -> None:
    """No server adds anything to PTR answers, and clients must not come to rely on it."""
    server.put("_http._tcp.example.test", "PTR", "web._http._tcp.example.test.")
    server.put("web._http._tcp.example.test", "SRV", "0 0 80 a.example.test.")
    server.put("a.example.test", "A", "10.0.0.1")

    response = server.ask("_http._tcp.example.test", "PTR")

    assert _texts(response.answer) == ["web._http._tcp.example.test."]
    assert not response.additional


def test_an_instance_name_keeps_its_case_and_its_bytes(server: Server) -> None:
    """However the question is written, the instance is as it was registered."""
    server.put("_http._tcp.example.test", "PTR", r"Caf\303\251\040One._http._tcp.Example.Test.")

    response = server.ask("_HTTP._tcp.eXAMPLE.test", "PTR")

    target = response.answer[0][0].target
    assert target.labels == (b"Caf\xc3\xa9 One", b"_http", b"_tcp", b"Example", b"Test", b"")


def test_the_question_is_repeated_in_the_case_it_was_asked_in(server: Server) -> None:
    """Resolvers mix the case of a question and look for it in the answer (0x20)."""
    server.put("a.example.test", "A", "10.0.0.1")
    query = _make_query("a.eXaMpLe.TeSt", "A").to_wire()
    question = b"\1a\7eXaMpLe\4TeSt\0\0\1\0\1"

    (response,) = server.send(query)

    assert response[12 : 12 + len(question)] == question
    assert _texts(dns.message.from_wire(response).answer) == ["10.0.0.1"]


@pytest.mark.parametrize(("ttl", "minimum"), [(300, 30), (30, 300)])
def test_a_negative_answer_says_how_long_it_holds(server: Server, ttl: int, minimum: int) -> None:
    """The SOA's TTL is the smaller of its own and its minimum field (RFC 2308)."""
    server.put("example.test", "SOA", f"ns.test. host.test. 1 1 1 1 {minimum}", ttl=ttl)

    response = server.ask("nobody.example.test", "A")

    assert response.rcode() == dns.rcode.NXDOMAIN
    assert response.flags & dns.flags.AA
    assert _soa_ttl(response) == 30


def test_a_name_without_the_type_is_no_error(server: Server) -> None:
    """A name that exists answers NOERROR with a SOA and no records."""
    server.put("a.example.test", "A", "10.0.0.1")

    response = server.ask("a.example.test", "AAAA")

    assert response.rcode() == dns.rcode.NOERROR
    assert not response.answer
    assert _soa_ttl(response) == 60


def test_a_name_with_something_below_it_exists(server: Server) -> None:
    """An empty non-terminal is no NXDOMAIN (RFC 8020), nor is a name beside it there."""
    server.put("web._http._tcp.example.test", "TXT", '"a=1"')

    assert server.ask("_tcp.example.test", "PTR").rcode() == dns.rcode.NOERROR
    assert server.ask("_http._tcp.example.test", "PTR").rcode() == dns.rcode.NOERROR
    assert server.ask("tcp.example.test", "PTR").rcode() == dns.rcode.NXDOMAIN
    assert server.ask("b._http._tcp.example.test", "TXT").rcode() == dns.rcode.NXDOMAIN


def test_the_apex_has_soa_and_ns(server: Server) -> None:
    """The zone presents itself, and a delegation is not seen in its own NS records."""
    assert len(_texts(server.ask("example.test", "SOA").answer)) == 1
    assert len(_texts(server.ask("example.test", "NS").answer)) == 4
    assert server.ask("example.test", "A").flags & dns.flags.AA


def test_a_wildcard_answers_for_names_that_are_not_there(server: Server) -> None:
    """The examples of RFC 4592 section 2.2.1."""
    server.put("*.example.test", "TXT", '"wild"')
    server.put("host1.example.test", "A", "10.0.0.1")
    server.put("_ssh._tcp.host1.example.test", "SRV", "0 0 22 host1.example.test.")

    made_up = server.ask("Host3.example.test", "TXT")
    assert _texts(made_up.answer) == ['"wild"']
    assert _owners(made_up.answer) == {"Host3.example.test."}
    assert _texts(server.ask("foo.bar.example.test", "TXT").answer) == ['"wild"']
    for name, rdtype in (
        ("host3.example.test", "A"),
        ("host1.example.test", "TXT"),
        ("_tcp.host1.example.test", "TXT"),
    ):
        response = server.ask(name, rdtype)
        assert (response.rcode(), response.answer) == (dns.rcode.NOERROR, [])
    assert server.ask("_telnet._tcp.host1.example.test", "SRV").rcode() == dns.rcode.NXDOMAIN
    assert _texts(server.ask("*.example.test", "TXT").answer) == ['"wild"']


def test_an_empty_wildcard_covers_names_without_data(server: Server) -> None:
    """A wildcard that only has something below it makes NODATA, not NXDOMAIN (RFC 4592)."""
    server.put("a.*.example.test", "TXT", '"below"')

    assert server.ask("b.example.test", "TXT").rcode() == dns.rcode.NOERROR


def test_cnames_are_followed_through_the_zones(server: Server) -> None:
    """The answer holds every CNAME on the way, and what the last one leads to."""
    other = server.add_zone("other.test")
    server.put("a.example.test", "CNAME", "B.example.test.")
    server.put("b.example.test", "CNAME", "c.other.test.")
    server.put("c.other.test", "A", "10.0.0.1", zone_id=other)

    response = server.ask("a.example.test", "A")

    assert [rrset.to_text().split()[-1] for rrset in response.answer] == [
        "B.example.test.",
        "c.other.test.",
        "10.0.0.1",
    ]
    assert _texts(server.ask("a.example.test", "CNAME").answer) == ["B.example.test."]


def test_a_cname_to_elsewhere_is_all_there_is_to_say(server: Server) -> None:
    """What other servers hold is theirs to answer."""
    server.put("a.example.test", "CNAME", "b.elsewhere.test.")

    response = server.ask("a.example.test", "A")

    assert response.rcode() == dns.rcode.NOERROR
    assert _texts(response.answer) == ["b.elsewhere.test."]
    assert not response.authority


def test_a_cname_to_nothing_is_negative(server: Server) -> None:
    """The response code is that of the last name (RFC 6604)."""
    server.put("a.example.test", "CNAME", "nobody.example.test.")

    response = server.ask("a.example.test", "A")

    assert response.rcode() == dns.rcode.NXDOMAIN
    assert _texts(response.answer) == ["nobody.example.test."]
    assert _soa_ttl(response) == 60


def test_cnames_in_a_circle_end(server: Server) -> None:
    """A circle costs a bounded number of steps."""
    server.put("a.example.test", "CNAME", "b.example.test.")
    server.put("b.example.test", "CNAME", "a.example.test.")

    (packet,) = server.send(_make_query("a.example.test", "A").to_wire())

    response = dns.message.from_wire(packet, one_rr_per_rrset=True)
    assert response.rcode() == dns.rcode.NOERROR
    assert _texts(response.answer) == ["a.example.test.", "b.example.test."]


def test_a_long_chain_of_cnames_is_cut(server: Server) -> None:
    """One question leads through eight names at most."""
    for number in range(20):
        server.put(f"a{number}.example.test", "CNAME", f"a{number + 1}.example.test.")

    assert len(server.ask("a0.example.test", "A").answer) == 8


def test_a_delegated_name_is_referred(server: Server) -> None:
    """Below a zone cut the answer is the NS records, their addresses and no authority."""
    server.put("sub.example.test", "NS", "ns.sub.example.test.", "ns.elsewhere.test.")
    server.put("ns.sub.example.test", "A", "10.0.0.53")

    response = server.ask("a.b.sub.example.test", "A")

    assert response.rcode() == dns.rcode.NOERROR
    assert not response.flags & dns.flags.AA
    assert not response.answer
    assert _texts(response.authority) == ["ns.elsewhere.test.", "ns.sub.example.test."]
    assert _texts(response.additional) == ["10.0.0.53"]


def test_the_closest_zone_answers(server: Server) -> None:
    """A zone below another one takes its names over."""
    inner = server.add_zone("inner.example.test")
    server.put("a.inner.example.test", "A", "10.0.0.1")
    server.put("a.inner.example.test", "A", "10.0.0.2", zone_id=inner)

    assert _texts(server.ask("a.inner.example.test", "A").answer) == ["10.0.0.2"]
    assert server.ask("ainner.example.test", "A").rcode() == dns.rcode.NXDOMAIN


def test_a_private_zone_answers_only_alone() -> None:
    """Of two zones with one origin the public one is seen, whichever is older."""
    server = Server()
    private = server.add_zone("example.test", private=True)
    server.put("a.example.test", "A", "10.0.0.1", zone_id=private)
    assert _texts(server.ask("a.example.test", "A").answer) == ["10.0.0.1"]

    public = server.add_zone("example.test")
    server.put("a.example.test", "A", "192.0.2.1", zone_id=public)
    assert _texts(server.ask("a.example.test", "A").answer) == ["192.0.2.1"]


def test_values_come_in_changing_order(server: Server) -> None:
    """Route 53 shuffles values, so nobody may rely on their order."""
    server.put("a.example.test", "A", *(f"10.0.0.{number}" for number in range(4)))

    firsts = {server.ask("a.example.test", "A").answer[0][0].to_text() for _ in range(60)}

    assert len(firsts) == 4


def test_of_several_routed_rrsets_one_is_shown_and_an_alias_shows_nothing(server: Server) -> None:
    """Where a client is, and what Route 53 knows of other zones, is not known here."""
    for identifier in ("b", "a"):
        routing = (("SetIdentifier", identifier), ("Weight", "1"))
        server.put("a.example.test", "A", f"10.0.0.{ord(identifier)}", routing=routing)
    alias = (("AliasTarget", (("DNSName", "a.example.test."),)),)
    server.put("b.example.test", "A", ttl=0, routing=alias)

    assert _texts(server.ask("a.example.test", "A").answer) == ["10.0.0.97"]
    response = server.ask("b.example.test", "A")
    assert (response.rcode(), response.answer) == (dns.rcode.NOERROR, [])
    assert _soa_ttl(response) == 60


def test_any_shows_all_that_is_there(server: Server) -> None:
    """A person who looks at a name with dig sees everything at it."""
    server.put("a.example.test", "A", "10.0.0.1")
    server.put("a.example.test", "TXT", '"a"', '"b"')

    assert _texts(server.ask("a.example.test", "ANY").answer) == ['"a"', '"b"', "10.0.0.1"]


def test_values_of_any_type_become_rdata(server: Server) -> None:
    """Route 53's octal escapes are read as such in every type."""
    server.put("a.example.test", "MX", r"10 m\101il.example.test.")
    server.put("a.example.test", "CAA", '0 issue "ca.test"')
    server.put("a.example.test", "TXT", r'"caf\303\251 \"x\""')
    server.put("a.example.test", "SPF", r'"v=spf1 \055all"')
    server.put("c.example.test", "CNAME", r"\052.example.test.")

    assert _texts(server.ask("a.example.test", "MX").answer) == ["10 mAil.example.test."]
    assert _texts(server.ask("a.example.test", "CAA").answer) == ['0 issue "ca.test"']
    assert _texts(server.ask("a.example.test", "SPF").answer) == ['"v=spf1 -all"']
    assert server.ask("a.example.test", "TXT").answer[0][0].strings == ('café "x"'.encode(),)
    assert server.ask("c.example.test", "CNAME").answer[0][0].target.labels[0] == b"*"


@pytest.mark.parametrize(
    ("rdtype", "text", "read"),
    [
        ("CNAME", "b.example.test", "b.example.test."),
        ("MX", "10 mail.example.test", "10 mail.example.test."),
        ("NS", "ns.elsewhere.test", "ns.elsewhere.test."),
        ("PTR", "web.example.test", "web.example.test."),
        ("SRV", "0 0 80 a.example.test", "0 0 80 a.example.test."),
        ("TXT", r'"a\;b\,\"c\\" "\073"', r'"a;b,\"c\\" ";"'),
    ],
)
def test_names_without_the_last_dot_and_escaped_characters_are_read(
    server: Server, rdtype: str, text: str, read: str
) -> None:
    """Route 53 takes a name for absolute, and a backslash before any character that prints."""
    server.put("x.example.test", rdtype, text)

    response = server.ask("x.example.test", rdtype)

    assert _texts(response.answer or response.authority) == [read]


@pytest.mark.parametrize("name", ["elsewhere.test", "test", ".", "badexample.test"])
def test_other_zones_are_refused(server: Server, name: str) -> None:
    """The server answers for nothing that it does not hold."""
    response = server.ask(name, "A")

    assert response.rcode() == dns.rcode.REFUSED
    assert not response.flags & dns.flags.AA


def test_other_classes_and_transfers_by_udp_are_refused(server: Server) -> None:
    """CHAOS has no zone here, and a zone does not go into datagrams."""
    chaos = dns.message.make_query("example.test", "TXT", rdclass=dns.rdataclass.CH)
    for message in (
        chaos,
        _make_query("example.test", "AXFR"),
        _make_query("example.test", "IXFR"),
    ):
        (response,) = server.send(message.to_wire())
        assert dns.message.from_wire(response).rcode() == dns.rcode.REFUSED


def test_a_zone_transfer_shows_the_zone(server: Server) -> None:
    """All records between two SOA records, in as many messages as it takes (RFC 5936)."""
    for number in range(3000):
        server.put(f"host-{number}.example.test", "A", "10.0.0.1")

    responses = server.send(_make_query("example.test", "AXFR").to_wire(), stream=True)

    messages = [dns.message.from_wire(response, one_rr_per_rrset=True) for response in responses]
    records = [rrset for message in messages for rrset in message.answer]
    assert len(messages) > 1
    assert max(map(len, responses)) <= 20_000
    assert len(records) == 3000 + 4 + 2
    assert [at for at, rrset in enumerate(records) if rrset.rdtype == dns.rdatatype.SOA] == [
        0,
        len(records) - 1,
    ]
    assert len(_owners(records)) == 3001


def test_a_transfer_of_anything_but_a_zone_is_refused(server: Server) -> None:
    """A name inside a zone is not a zone."""
    server.put("a.example.test", "A", "10.0.0.1")

    (response,) = server.send(_make_query("a.example.test", "AXFR").to_wire(), stream=True)

    assert dns.message.from_wire(response).rcode() == dns.rcode.REFUSED


def _put_instance(server: Server, count: int) -> None:
    hosts = [f"host-{number:04d}.example.test" for number in range(count)]
    server.put("web.example.test", "SRV", *(f"0 0 80 {host}." for host in hosts))
    for host in hosts:
        server.put(host, "A", "10.0.0.1")


@pytest.mark.parametrize(
    ("payload", "count", "additional"),
    [
        (None, 7, 7),  # 510 octets
        (None, 8, 0),
        (512, 7, 0),  # 521 octets, with OPT
        (100, 6, 6),  # nobody takes less than 512 (RFC 6891 section 6.2.3)
        (1232, 17, 17),  # 1201 octets
        (4096, 18, 0),  # 1269 octets: more than is sent to anybody
    ],
)
def test_additional_data_goes_first_when_room_is_short(
    server: Server, payload: int | None, count: int, additional: int
) -> None:
    """Without it the answer is whole, so TC stays clear (RFC 2181 section 9)."""
    _put_instance(server, count)

    response = server.ask("web.example.test", "SRV", payload=payload)

    assert not response.flags & dns.flags.TC
    assert len(_texts(response.answer)) == count
    assert len(_texts(response.additional)) == additional


@pytest.mark.parametrize(("payload", "count"), [(None, 12), (1232, 29), (65535, 29)])
def test_an_answer_without_room_is_cut_to_nothing(
    server: Server, payload: int | None, count: int
) -> None:
    """TC and empty sections: the client asks again by TCP and gets everything."""
    _put_instance(server, count)

    cut = server.ask("web.example.test", "SRV", payload=payload)
    assert cut.flags & dns.flags.TC
    assert cut.sections[1:] == [[], [], []]

    whole = server.ask("web.example.test", "SRV", stream=True)
    assert not whole.flags & dns.flags.TC
    assert len(_texts(whole.answer)) == len(_texts(whole.additional)) == count


@given(count=st.integers(1, 60), payload=st.none() | st.integers(0, 65535))
def test_no_datagram_is_longer_than_its_client_takes(count: int, payload: int | None) -> None:
    """Nor longer than 1232 octets, whatever the client says."""
    server = Server()
    server.add_zone("example.test")
    _put_instance(server, count)

    (response,) = server.send(_make_query("web.example.test", "SRV", payload=payload).to_wire())

    assert len(response) <= min(1232, max(512, payload or 0))


def test_edns_is_answered_with_edns_only(server: Server) -> None:
    """An OPT record is in the response if and only if there was one in the query."""
    assert server.ask("example.test", "SOA").edns == -1
    response = server.ask("example.test", "SOA", payload=4096)
    assert (response.edns, response.payload) == (0, 1232)


def test_a_future_edns_is_told_so(server: Server) -> None:
    """BADVERS, with the version that is known (RFC 6891 section 6.1.3)."""
    query = _make_query("example.test", "SOA")
    query.use_edns(edns=1)

    response = dns.message.from_wire(server.send(query.to_wire())[0])

    assert response.rcode() == dns.rcode.BADVERS
    assert response.edns == 0
    assert not response.answer


def test_cookies_and_other_options_do_no_harm(server: Server) -> None:
    """What dig sends by default is passed over."""
    query = _make_query("example.test", "SOA")
    query.use_edns(
        edns=0, options=[dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")]
    )

    assert dns.message.from_wire(server.send(query.to_wire())[0]).rcode() == dns.rcode.NOERROR


@pytest.mark.parametrize("opcode", range(1, 16))
def test_other_operations_are_not_implemented(server: Server, opcode: int) -> None:
    """NOTIFY, UPDATE and the rest: NOTIMP, with the ID and the opcode."""
    query = bytearray(_make_query("example.test", "SOA").to_wire())
    query[2] |= opcode << 3

    (response,) = server.send(bytes(query))

    assert response[:2] == query[:2]
    assert response[2] == 0x80 | query[2]
    assert response[3] & 0xF == dns.rcode.NOTIMP


@pytest.mark.parametrize("flags", [0x8000, 0x8400, 0xFFFF])
def test_responses_are_ignored(server: Server, flags: int) -> None:
    """Or two servers would answer each other for ever."""
    query = bytearray(_make_query("example.test", "SOA").to_wire())
    query[2:4] = flags.to_bytes(2, "big")

    assert server.send(bytes(query)) == []


@pytest.mark.parametrize("size", range(12))
def test_what_has_no_header_is_ignored(server: Server, size: int) -> None:
    """There is no ID to answer with."""
    assert server.send(_make_query("example.test", "SOA").to_wire()[:size]) == []


QUESTION = b"\x07example\x04test\0\0\x06\0\1"
OPT = b"\0\0\x29\x10\0\0\0\0\0\0\0"


def _message(*counts: int, body: bytes) -> bytes:
    return b"\x12\x34\x01\0" + b"".join(n.to_bytes(2, "big") for n in counts) + body


@pytest.mark.parametrize(
    "packet",
    [
        _message(0, 0, 0, 0, body=b""),
        _message(2, 0, 0, 0, body=QUESTION + QUESTION),
        _message(1, 0, 0, 0, body=b""),
        _message(1, 0, 0, 0, body=QUESTION[:5]),
        _message(1, 0, 0, 0, body=QUESTION[:-1]),
        _message(1, 0, 0, 0, body=QUESTION + b"x"),
        _message(1, 0, 0, 0, body=b"\xc0\x0c\0\x06\0\1"),
        _message(1, 0, 0, 0, body=b"\x40" + b"a" * 64 + QUESTION),
        _message(1, 0, 0, 0, body=(b"\x3f" + b"a" * 63) * 4 + b"\0\0\x06\0\1"),
        _message(1, 0, 0, 1, body=QUESTION),
        _message(1, 0, 0, 1, body=QUESTION + OPT[:-1]),
        _message(1, 0, 0, 1, body=QUESTION + OPT[:-1] + b"\x09"),
        _message(1, 0, 0, 2, body=QUESTION + OPT + OPT),
        _message(1, 1, 0, 0, body=QUESTION + OPT),
        _message(1, 0, 0, 1, body=QUESTION + b"\1a" + OPT),
        _message(1, 0, 0, 65535, body=QUESTION + OPT[:3] * 21845),
    ],
)
def test_malformed_queries_are_told_so(server: Server, packet: bytes) -> None:
    """FORMERR with the query's ID: its sender may be a person who is debugging."""
    (response,) = server.send(packet)

    read = dns.message.from_wire(response)
    assert (read.id, read.rcode(), read.question) == (0x1234, dns.rcode.FORMERR, [])
    assert read.flags & dns.flags.RD


def _mutated(query: bytes, edits: list[tuple[int, int]], end: int) -> bytes:
    packet = bytearray(query)
    for at, octet in edits:
        packet[at % len(packet)] = octet
    return bytes(packet[: len(packet) - end % 8])


QUERIES = [
    _make_query("web.example.test", "SRV", payload=4096).to_wire(),
    _make_query("a.example.test", "A").to_wire(),
    _make_query("nobody.example.test", "ANY").to_wire(),
    _make_query("example.test", "AXFR", payload=512).to_wire(),
]
PACKETS = st.binary(max_size=600) | st.builds(
    _mutated,
    st.sampled_from(QUERIES),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6),
    st.integers(0, 7) | st.just(0),
)


@pytest.fixture(scope="module")
def populated() -> Server:
    """A server with an instance of 40 hosts, a CNAME and a wildcard."""
    server = Server()
    server.add_zone("example.test")
    _put_instance(server, 40)
    server.put("a.example.test", "CNAME", "web.example.test.")
    server.put("*.wild.example.test", "TXT", '"x"')
    return server


@given(packet=PACKETS, stream=st.booleans())
def test_any_octets_have_a_proper_answer_or_none(
    populated: Server, packet: bytes, stream: bool
) -> None:
    """Never an exception; what comes back is a response that another library reads."""
    for response in populated.send(packet, stream=stream):
        read = dns.message.from_wire(response)
        assert response[:2] == packet[:2]
        assert read.flags & dns.flags.QR
        assert stream or len(response) <= 1232
