"""What messages say about their question, by hand and against dnspython."""

from ipaddress import ip_address
from itertools import pairwise
from typing import Any

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.names import Name
from dnssd.records import Address, Ptr, Srv, Txt
from dnssd.wire.answers import MAX_CHAIN, MAX_VALUES, Answer, NoAnswer, read_answer
from dnssd.wire.message import NUMBERS, Message, Record
from dnssd.wire.reader import read_message

WEB = Name.parse("web._http._tcp.example.test.")
ALIAS = Name.parse("other.example.test.")
HOST = Name.parse("host.example.test.")
ZONE = Name.parse("example.test.")
SRV = Srv(0, 100, 80, HOST)
SOA = Record(ZONE, "SOA", 900, 300)
NS = Record(ZONE, "NS", 900, None)
ASKED = Message(1, 0, False, (WEB, NUMBERS["SRV"]), (), (), ())


def says(*answer: Record, **others: Any) -> Message:
    """A response to a question for the SRV records of WEB."""
    return ASKED._replace(answer=answer, **others)


def cname(name: Name, target: Name, ttl: int = 60) -> Record:
    """The record that makes one name an alias of another."""
    return Record(name, "CNAME", ttl, target)


@pytest.mark.parametrize(
    "value",
    [SRV, Ptr(WEB), Txt((b"a=1",)), Address(ip_address("192.0.2.1")), Address(ip_address("::1"))],
)
def test_values_of_every_type_are_answers(value: Srv | Ptr | Txt | Address) -> None:
    """The records of the name and type that were asked for, and no other."""
    records = [
        Record(HOST, value.rdtype, 5, value),
        Record(Name.parse("WEB._http._tcp.Example.TEST."), value.rdtype, 60, value),
        Record(WEB, "NS", 5, None),
    ]

    answer = read_answer(says(*records, question=(WEB, NUMBERS[value.rdtype])))

    assert answer == Answer((value,), 60)


def test_values_come_once_each_in_their_order_with_the_smallest_ttl() -> None:
    """Records of one RRset with different TTLs count by the smallest (RFC 2181)."""
    first, second = (Srv(0, 0, port, HOST) for port in (9, 1))

    answer = read_answer(
        says(
            *(Record(WEB, "SRV", ttl, srv) for ttl, srv in ((60, first), (30, second), (90, first)))
        )
    )

    assert answer == Answer((first, second), 30)


def test_no_answer_has_more_values_than_the_limit() -> None:
    """What comes after the first 4000 values is left out."""
    records = [Record(WEB, "SRV", 60, Srv(0, 0, port, HOST)) for port in range(MAX_VALUES + 9)]

    answer = read_answer(says(*records))

    assert answer.values == tuple(record.data for record in records[:MAX_VALUES])


def test_addresses_that_came_along_are_kept() -> None:
    """Of the additional section, A and AAAA records."""
    addresses = (
        Record(HOST, "A", 60, Address(ip_address("192.0.2.1"))),
        Record(HOST, "AAAA", 30, Address(ip_address("2001:db8::1"))),
    )

    answer = read_answer(
        says(
            Record(WEB, "SRV", 60, SRV),
            additional=(addresses[0], Record(HOST, "TXT", 5, Txt()), addresses[1]),
        )
    )

    assert answer.additional == addresses


def test_a_chain_of_aliases_is_followed_to_its_values() -> None:
    """Whatever order they come in; the smallest TTL of all that was passed counts."""
    answer = read_answer(
        says(Record(HOST, "SRV", 50, SRV), cname(ALIAS, HOST, 40), cname(WEB, ALIAS, 45))
    )

    assert answer == Answer((SRV,), 40, via=HOST)


def test_a_chain_without_values_leads_to_another_question() -> None:
    """The name that it ends with is to be asked for, and the TTL of the chain remembered."""
    answer = read_answer(says(cname(WEB, ALIAS, 45), cname(ALIAS, HOST, 40), authority=(NS,)))

    assert answer == Answer((), 40, alias=HOST)


@pytest.mark.parametrize("rcode", [0, 3])
def test_an_soa_record_makes_an_answer_of_nothing(rcode: int) -> None:
    """Negative for the smaller of its TTL and its minimum (RFC 2308 section 5)."""
    assert read_answer(says(rcode=rcode, authority=(NS, SOA))) == Answer((), 300)
    short = SOA._replace(ttl=20)
    assert read_answer(says(rcode=rcode, authority=(short,))) == Answer((), 20)
    assert read_answer(says(rcode=rcode, authority=(SOA._replace(name=WEB),))).signed


@pytest.mark.parametrize("rcode", [0, 3])
def test_an_soa_record_ends_a_chain_of_aliases(rcode: int) -> None:
    """The name at its end has no such records, for as long as the chain holds at most."""
    chain = cname(WEB, HOST, 40)

    assert read_answer(says(chain, rcode=rcode, authority=(SOA,))) == Answer((), 40)


@pytest.mark.parametrize("rcode", [0, 3])
def test_nothing_without_a_fitting_soa_record_is_not_signed(rcode: int) -> None:
    """No SOA record, or that of a zone beside or below the name, proves nothing."""
    for authority in (
        (),
        (SOA._replace(name=HOST),),
        (SOA._replace(name=WEB.child(b"below")),),
        (Record(ZONE, "TXT", 60, Txt()),),
    ):
        assert read_answer(says(rcode=rcode, authority=authority)) == Answer((), 0, signed=False)


def test_a_chain_is_no_alias_if_its_end_is_said_not_to_exist() -> None:
    """NXDOMAIN is about the last name of a chain (RFC 6604); without SOA it is not believed."""
    assert read_answer(says(cname(WEB, HOST), rcode=3)) == Answer((), 0, signed=False)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (says(rcode=1), "FORMERR"),
        (says(Record(WEB, "SRV", 60, SRV), rcode=2), "SERVFAIL"),
        (says(rcode=4), "NOTIMP"),
        (says(rcode=5, authority=(SOA,)), "REFUSED"),
        (says(rcode=16), "BADVERS"),
        (says(rcode=3841), "response code 3841"),
        (says(truncated=True), "an answer cut short"),
        (says(authority=(NS,)), "a referral"),
        (says(question=None), "no answer to a question"),
        (says(question=(WEB, 255)), "no answer to a question"),
        (says(question=(WEB, NUMBERS["CNAME"])), "no answer to a question"),
        (
            says(Record(WEB, "SRV", 60, SRV), rcode=3),
            "values of a name that it says does not exist",
        ),
        (says(cname(WEB, WEB)), "aliases without end"),
        (says(cname(WEB, ALIAS), cname(ALIAS, WEB), authority=(SOA,)), "aliases without end"),
    ],
)
def test_what_leaves_the_question_open_is_no_answer(message: Message, why: str) -> None:
    """Errors by their names, and everything that contradicts itself."""
    with pytest.raises(NoAnswer) as caught:
        read_answer(message)
    assert str(caught.value) == why


def test_chains_are_followed_so_far_and_no_further() -> None:
    """Fifteen aliases in one message are one too few to be refused."""
    names = [Name.parse(f"{number}.test.") for number in range(MAX_CHAIN + 1)]
    steps = [cname(name, target) for name, target in pairwise(names)]
    asked = says(*steps[:-1], question=(names[0], NUMBERS["SRV"]))

    assert read_answer(asked).alias == names[-2]
    with pytest.raises(NoAnswer):
        read_answer(asked._replace(answer=tuple(steps)))


def test_the_soa_record_of_a_zone_can_be_asked_for() -> None:
    """That there is one is all that is known of it, and for how long."""
    answer = read_answer(says(SOA, question=(ZONE, NUMBERS["SOA"])))

    assert (len(answer.values), answer.ttl, answer.signed) == (1, 900, True)


ENDS = ("a.test.", "b.test.", "c.a.test.", "d.example.")


@given(
    aliases=st.dictionaries(st.sampled_from(ENDS), st.sampled_from(ENDS)),
    values=st.dictionaries(
        st.sampled_from(ENDS), st.lists(st.integers(0, 3), min_size=1), max_size=1
    ),
    zone=st.sampled_from((None, ".", "test.", "a.test.", "other.")),
    ttls=st.lists(st.integers(0, 99), min_size=10, max_size=10),
    rcode=st.sampled_from((0, 3)),
)
def test_dnspython_finds_the_same_at_the_end_of_the_same_chain(
    aliases: dict[str, str],
    values: dict[str, list[int]],
    zone: str | None,
    ttls: list[int],
    rcode: int,
) -> None:
    """Values, end, TTL and SOA record: all as dnspython has it for the same packet."""
    response = dns.message.make_response(dns.message.make_query(ENDS[0], "SRV"))
    response.set_rcode(dns.rcode.Rcode.make(rcode))
    ttl = iter(ttls)
    for owner, target in aliases.items():
        response.answer.append(dns.rrset.from_text(owner, next(ttl), "IN", "CNAME", target))
    for owner, ports in values.items():
        srvs = [f"0 0 {port} h.test." for port in ports]
        response.answer.append(dns.rrset.from_text(owner, next(ttl), "IN", "SRV", *srvs))
    if zone is not None:
        soa = f". . 1 2 3 4 {next(ttl)}"
        response.authority.append(dns.rrset.from_text(zone, next(ttl), "IN", "SOA", soa))
    packet = response.to_wire()  # once: dnspython shuffles
    theirs = dns.message.from_wire(packet)
    assert isinstance(theirs, dns.message.QueryMessage)
    message = read_message(packet)

    try:
        chain = theirs.resolve_chaining()
    except dns.exception.DNSException:
        with pytest.raises(NoAnswer):
            read_answer(message)
        return

    found = [value.port for value in chain.answer or ()]
    end = chain.canonical_name
    answer = read_answer(message)

    assert [value.port for value in answer.values if isinstance(value, Srv)] == found
    if found or (zone and end.is_subdomain(dns.name.from_text(zone))):
        assert (answer.ttl, answer.alias, answer.signed) == (chain.minimum_ttl, None, True)
    elif chain.cnames and rcode == 0:
        assert answer.alias == Name(end.labels[:-1])
        assert answer.ttl == min(rrset.ttl for rrset in chain.cnames)
    else:
        assert answer == Answer((), 0, signed=False)
