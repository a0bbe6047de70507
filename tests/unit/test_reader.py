"""Reading packets: against dnspython on any of them, and by hand where the limits are."""

import contextlib
import random
import struct
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnssd.names import Name
from dnssd.records import Srv, Txt
from dnssd.wire.answers import read_answer
from dnssd.wire.message import NUMBERS, MalformedMessage, Message
from dnssd.wire.query import PAYLOAD, question
from dnssd.wire.reader import read_message
from dnssd.wire.usual import read_usual
from kit import packets
from kit.reference import judge

NAMES = {number: rdtype for rdtype, number in NUMBERS.items()}
RNG = st.randoms(use_true_random=False)
WEB = Name.parse("v1._http._tcp.Example.test.")
ASKED = question(WEB, "SRV")
HOST = b"\1h\xc0\x1a"  # below the domain of WEB
ROOT_AT = 39  # where the question's name ends
RDATA_AT = 56  # where that of the first record begins, if its owner is a pointer


def header(
    answers: int = 0, *, flags: int = 0x8000, questions: int = 1, additional: int = 0
) -> bytes:
    """The first twelve octets of a response."""
    return struct.pack("!HHHHHH", 7, flags, questions, answers, 0, additional)


def record(rdtype: int, rdata: bytes, *, owner: bytes = b"\xc0\x0c", ttl: int = 60) -> bytes:
    """A record of class IN."""
    return owner + struct.pack("!HHIH", rdtype, 1, ttl, len(rdata)) + rdata


def opt(*, high: int = 0, owner: bytes = b"\0", rdata: bytes = b"") -> bytes:
    """An OPT record; `high` is what it adds to the response code."""
    return owner + struct.pack("!HHIH", 41, PAYLOAD, high << 24, len(rdata)) + rdata


def pointer(at: int) -> bytes:
    """A pointer to an offset."""
    return struct.pack("!H", 0xC000 | at)


def alias(target: bytes) -> bytes:
    """A response with one alias, whose target is all that follows."""
    return header(1) + ASKED + record(NUMBERS["CNAME"], target)


@given(RNG)
def test_what_dnspython_writes_is_read_as_dnspython_reads_it(rng: random.Random) -> None:
    """Every type, compressed, in all sections, with EDNS and without: the same records."""
    assert judge(packets.sound(rng)) == "both"


@given(RNG)
def test_the_usual_answer_is_read_at_once_as_all_others_are(rng: random.Random) -> None:
    """The short way is taken, and says what the long one says; whatever is wrong ends it."""
    data = packets.usual(rng)
    message = read_message(data)
    assert message.question
    asked = question(message.question[0], NAMES[message.question[1]])

    assert read_usual(data, asked) == read_answer(message)
    assert judge(packets.mutated(rng, data))


@given(RNG)
def test_pointers_to_anywhere_are_followed_or_refused_as_dnspython_does(
    rng: random.Random,
) -> None:
    """However names hang together, both follow them to the same end, or both refuse."""
    assert judge(packets.tangled(rng)) in ("both", "neither")


@settings(max_examples=400)
@given(RNG, st.booleans())
def test_broken_packets_are_refused_unless_nobody_looks_at_what_is_broken(
    rng: random.Random, tangled: bool
) -> None:
    """Changed, cut and spliced packets: one exception, no disagreement without a reason."""
    make = packets.tangled if tangled else packets.sound
    judge(packets.mutated(rng, make(rng)))


@given(st.binary(max_size=80), st.booleans())
def test_random_octets_are_refused_or_read_as_dnspython_reads_them(
    octets: bytes, headed: bool
) -> None:
    """Noise raises nothing but MalformedMessage, with a header before it or without."""
    judge(header(1) + ASKED + octets if headed else octets)


def test_an_answer_is_read_to_the_last_octet() -> None:
    """Question, answer and additional data come out with their case, EDNS with its rcode."""
    srv = struct.pack("!HHH", 0, 5, 80) + HOST
    data = header(1, flags=0x8403, additional=2) + ASKED + record(33, srv)
    at = data.index(HOST)
    data += record(1, bytes((192, 0, 2, 1)), owner=pointer(at)) + opt(high=1)

    message = read_message(data)

    host = Name.parse("h.Example.test.")
    assert message.question == (WEB, 33)
    assert (message.id, message.rcode, message.truncated) == (7, 0x13, False)
    assert message.answer == ((WEB, "SRV", 60, Srv(0, 5, 80, host)),)
    assert str(message.answer[0].data) == str(Srv(0, 5, 80, host))
    assert [(str(r.name), r.rdtype, str(r.data)) for r in message.additional] == [
        (str(host), "A", str(message.additional[0].data))
    ]
    assert judge(data) == "both"


def test_names_compare_without_case_and_keep_it() -> None:
    """A label with a capital, anywhere in the packet, has its lower-case key."""
    target = Name((b"ABC", b"\xc3\x89\xc3\x9c", b"Example", b"test"))

    message = read_message(alias(b"\3ABC\4\xc3\x89\xc3\x9c\xc0\x1a"))

    data = message.answer[0].data
    assert isinstance(data, Name)
    assert data.labels == target.labels
    assert data.key == target.key == b"\3abc\4\xc3\x89\xc3\x9c\7example\4test\0"


def test_a_truncated_response_says_no_more_than_that() -> None:
    """With TC nothing behind the question is looked at, whole records or half ones."""
    whole = header(1, flags=0x8200) + ASKED + record(16, b"\1a")

    for size in range(len(header() + ASKED), len(whole) + 1):
        assert read_message(whole[:size]) == Message(7, 0, True, (WEB, 33), (), (), ())
    with pytest.raises(MalformedMessage):
        read_message(whole[: len(header() + ASKED) - 1])


def test_a_response_without_a_question_is_read() -> None:
    """Servers that do not understand a query answer with a bare header."""
    assert read_message(header(flags=0x8001, questions=0)) == Message(7, 1, False, None, (), (), ())


def test_no_text_at_all_is_one_empty_string() -> None:
    """RFC 6763 section 6.1: it is to be treated so, though nobody should send it."""
    asked = question(WEB, "TXT")
    data = header(1) + asked + record(16, b"")

    message = read_message(data)

    assert message.answer[0].data == Txt((b"",))
    assert read_usual(data, asked) == read_answer(message)


def test_ttls_beyond_31_bits_are_zero() -> None:
    """The most that a TTL can be is 2**31 - 1; more is taken for nothing (RFC 2181)."""
    most, more = (
        read_message(header(1) + ASKED + record(16, b"\1a", ttl=ttl)).answer[0]
        for ttl in (2**31 - 1, 2**31)
    )

    assert most == (WEB, "TXT", 2**31 - 1, Txt((b"a",)))
    assert more.ttl == 0


def buried(name: bytes, pointers: int) -> bytes:
    """A response with an alias for a name in unknown rdata, behind pointers to pointers."""
    behind = RDATA_AT + len(name)
    ats = [RDATA_AT, *range(behind, behind + 2 * (pointers - 1), 2)]
    rdata = name + b"".join(map(pointer, ats[:-1]))
    return header(2) + ASKED + record(65280, rdata) + record(5, pointer(ats[-1]))


RUN = b"\1x" * 127  # 254 octets, the most that fit before the root
SOUND = {
    "a name of 255 octets": alias(RUN + b"\0"),
    "the same behind a pointer": header(2)
    + ASKED
    + record(5, RUN + b"\0")
    + record(5, b"\1x" + pointer(RDATA_AT + 2)),
    "the longest name behind as many pointers as can be": buried(RUN + b"\0", 16),
    "the root behind a pointer": alias(pointer(ROOT_AT)),
    "options": header(0, additional=1) + ASKED + opt(rdata=b"\0\3\0\2ab\xff\xff\0\0"),
    "a broken option": header(0, additional=1) + ASKED + opt(rdata=b"\0\x0a\0\1a"),
    "broken rdata of another type": header(1) + ASKED + record(15, b"\0"),
    "rdata of another class": header(1) + ASKED + b"\xc0\x0c\0\1\0\3\0\0\0\0\0\1x",
}


@pytest.mark.parametrize("what", SOUND)
def test_what_is_within_the_limits_is_read(what: str) -> None:
    """The longest names and contents that are none of our business do no harm."""
    read_message(SOUND[what])
    judge(SOUND[what])


def chain(pointers: int) -> bytes:
    """A response whose last alias is reached by so many pointers."""
    data = header(pointers) + ASKED
    target = 12
    for _ in range(pointers):
        data += record(5, pointer(target))
        target = len(data) - 2
    return data


BROKEN = {
    "nothing": b"",
    "half a header": header()[:11],
    "a query": header(flags=0x0100) + ASKED,
    "another opcode": header(flags=0xA800) + ASKED,
    "two questions": header(questions=2) + ASKED + ASKED,
    "two questions, cut short": header(questions=2, flags=0x8200) + ASKED + ASKED,
    "a question of another class": header() + ASKED[:-1] + b"\3",
    "half a question": (header() + ASKED)[:-1],
    "an octet more": header() + ASKED + b"\0",
    "a record less": header(1) + ASKED,
    "a million records": header(65535, additional=65535) + ASKED + record(1, b"abcd"),
    "half a record": (header(1) + ASKED + record(1, b"abcd"))[:-1],
    "an address of 3 octets": header(1) + ASKED + record(1, b"abc"),
    "an address of 5 octets": header(1) + ASKED + record(1, b"abcde"),
    "an address of 17 octets": header(1) + ASKED + record(28, bytes(17)),
    "a string longer than the text": header(1) + ASKED + record(16, b"\2a"),
    "an SRV without target": header(1) + ASKED + record(33, bytes(6)),
    "an SRV and more": header(1) + ASKED + record(33, bytes(8)),
    "an SOA and more": header(1) + ASKED + record(6, bytes(23)),
    "an SOA and less": header(1) + ASKED + record(6, bytes(21)),
    "a name server and more": header(1) + ASKED + record(2, bytes(2)),
    "a name beyond its rdata": header(1) + ASKED + record(5, b"\1x") + b"\0",
    "a label of 64 octets": alias(b"\x40" + bytes(64) + b"\0"),
    "a bit label": alias(b"\x80\0"),
    "a name of 256 octets": alias(RUN[2:] + b"\2xy\0"),
    "the same behind a pointer": header(2)
    + ASKED
    + record(5, RUN + b"\0")
    + record(5, b"\1x" + pointer(RDATA_AT)),
    "a pointer to itself": alias(pointer(RDATA_AT)),
    "a pointer to its own label": alias(b"\1x" + pointer(RDATA_AT)),
    "a pointer forward": alias(pointer(RDATA_AT + 2) + b"\0"),
    "a pointer beyond the packet": alias(b"\xff\xff"),
    "half a pointer": alias(b"\xc0"),
    "two pointers in a circle": header(2)
    + ASKED
    + record(5, pointer(RDATA_AT + 14))
    + record(5, pointer(RDATA_AT)),
    "a pointer to a label that runs beyond it": header(3)
    + ASKED
    + record(16, b"\1\x10")  # sixteen octets on, in the type of the last record, is a nought
    + record(5, pointer(RDATA_AT + 1))
    + record(16, b"\1x"),
    "pointers to pointers without end": buried(b"\1x\0", 8000),
    "a pointer more than can be": buried(b"\0", 17),
    "17 pointers in a row": chain(17),
    "OPT among the answers": header(1) + ASKED + opt(),
    "OPT twice": header(additional=2) + ASKED + opt() + opt(),
    "OPT of a name": header(additional=1) + ASKED + opt(owner=b"\1x\0"),
    "half an option": header(additional=1) + ASKED + opt(rdata=b"\0\3\0"),
    "an option longer than OPT": header(additional=1) + ASKED + opt(rdata=b"\0\3\0\2a"),
    "a signature": header(additional=1)
    + ASKED
    + b"\0"
    + struct.pack("!HHIH", 250, 255, 0, 17)
    + bytes(17),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_refused_in_so_many_words(what: str) -> None:
    """One exception for all that is wrong, and its text is one line."""
    with pytest.raises(MalformedMessage) as caught:
        read_message(BROKEN[what])
    assert str(caught.value).isprintable()
    assert judge(BROKEN[what]) in ("neither", "dnspython")


def test_sixteen_pointers_in_a_row_are_followed() -> None:
    """As many as dnspython follows; no compressor needs a second."""
    message = read_message(chain(16))

    assert {record.data for record in message.answer} == {WEB}


class Counted(bytes):
    """Octets that count how often one of them, or a row of them, is looked at."""

    looks: int = 0

    def __getitem__(self, key: Any) -> Any:
        self.looks += 1
        return super().__getitem__(key)


RUNS = (b"\1x" * 125 + b"\0") * 60  # names of 251 octets


def pointing(ats: Iterable[int]) -> bytes:
    """A response with RUNS and an alias each to offsets in RUNS, as many as 64 KiB hold."""
    targets = list(ats)[:3400]
    aliases = [record(5, pointer(RDATA_AT + at), owner=pointer(RDATA_AT)) for at in targets]
    return header(1 + len(aliases)) + ASKED + record(65280, RUNS) + b"".join(aliases)


def in_tens(count: int) -> bytes:
    """A response whose aliases point to each other, every tenth to the question."""
    data = header(count) + ASKED
    for number in range(count):
        target = len(data) - 2 if number % 10 else 12
        data += record(5, pointer(target))
    return data


EVERY = [at for at in range(len(RUNS)) if at % 251 % 2 == 0]
HOSTILE = {
    "to every label of long names": pointing(EVERY),
    "to every label from behind": pointing(reversed(EVERY)),
    "to any octet": pointing(range(len(RUNS))),
    "to pointers": in_tens(1100),
    "to pointers in a row": chain(1100),
    "to labels without end": alias(pointer(RDATA_AT)) + b"\1x" * 32000,
    "labels without end": alias(b"\1x" * 32000),
    "long names": header(240) + ASKED + record(5, RUN + b"\0") * 240,
    "roots": header(65535, additional=65535) + ASKED + b"\0" * 65000,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_the_work_is_bounded_by_the_size_of_the_packet(what: str) -> None:
    """No octet is looked at more than a few times, whatever points where."""
    data = Counted(HOSTILE[what])

    with contextlib.suppress(MalformedMessage):
        read_message(data)

    assert data.looks < 3 * len(data)


def test_many_pointers_into_long_names_are_no_reason_to_refuse() -> None:
    """What the bound is tested with is sound, in the main: the work has been done."""
    for what in ("to every label of long names", "to every label from behind", "to pointers"):
        assert len(read_message(HOSTILE[what]).answer) > 1000
