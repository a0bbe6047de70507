"""Questions as packets, and packets that repeat them."""

import dns.flags
import dns.message
import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.names import MAX_NAME, Name
from dnssd.wire.message import NUMBERS
from dnssd.wire.query import PAYLOAD, answers_question, query, question

NAMES = (
    st.lists(st.binary(min_size=1, max_size=63), max_size=8)
    .map(tuple)
    .filter(lambda labels: sum(len(label) + 1 for label in labels) < MAX_NAME)
    .map(Name)
)
TYPES = st.sampled_from(tuple(NUMBERS))
WEB = question(Name.parse("Web._http._tcp.example.test."), "SRV")


@given(NAMES, TYPES, st.integers(0, 65535), st.booleans())
def test_dnspython_reads_the_question_that_was_put(
    name: Name, rdtype: str, ident: int, edns: bool
) -> None:
    """The name with its case, the type, the ID, recursion desired, and EDNS if wanted."""
    message = dns.message.from_wire(query(ident, question(name, rdtype), edns=edns))

    (asked,) = message.question
    assert asked.name.labels == (*name.labels, b"")
    assert (asked.rdtype, asked.rdclass) == (NUMBERS[rdtype], 1)
    assert (message.id, message.flags) == (ident, dns.flags.RD | dns.flags.AD)
    assert message.edns == (0 if edns else -1)
    assert not edns or message.payload == PAYLOAD


@given(NAMES, TYPES)
def test_a_response_of_dnspython_answers_the_question(name: Name, rdtype: str) -> None:
    """Whatever else it holds, and in whatever case it repeats the name."""
    asked = question(name, rdtype)
    response = dns.message.make_response(dns.message.from_wire(query(1, asked)))
    loud = dns.name.Name([label.upper() for label in response.question[0].name.labels])
    quiet = response.to_wire()
    response.question[0].name = loud

    assert answers_question(quiet, asked)
    assert answers_question(response.to_wire(), asked)
    assert not answers_question(quiet, question(name.child(b"x"), rdtype)[:MAX_NAME])


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\0" * 40,
        query(1, WEB),
        query(1, WEB).replace(b"\1\0\0\1", b"\x80\0\0\2"),
        query(1, WEB).replace(b"\1\0\0\1", b"\x80\0\0\1")[: 11 + len(WEB)],
        query(1, WEB[:-3] + b"\x10\0\1").replace(b"\1\0\0\1", b"\x80\0\0\1"),
        query(1, WEB[:-1] + b"\3").replace(b"\1\0\0\1", b"\x80\0\0\1"),
    ],
    ids=["nothing", "noughts", "a query", "two questions", "cut", "another type", "another class"],
)
def test_other_packets_answer_no_question(packet: bytes) -> None:
    """What is no response, is cut, or is about something else."""
    assert not answers_question(packet, WEB)


@given(st.binary(max_size=60))
def test_no_octets_trouble_the_comparison(octets: bytes) -> None:
    """It looks at raw packets, before anything else does."""
    assert not answers_question(octets[:11], WEB)
    answers_question(octets, WEB)
