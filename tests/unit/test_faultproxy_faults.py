"""What the fault proxy does to answers, without a proxy."""

import random
from collections import Counter
from dataclasses import asdict

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.faultproxy.faults import (
    HONEST,
    LIES,
    TCP_ONLY,
    Fate,
    Fault,
    Plan,
    Transport,
    spoil,
    wrong_length,
)
from kit.faultproxy.messages import question_of, record, without_additional

NAME = "web._http._tcp.example.test."
START = dns.rrset.from_text("example.test.", 9, "IN", "SOA", "ns.example.test. root. 1 2 3 4 5")
SOA = record(START)
BOTH: tuple[Transport, ...] = ("udp", "tcp")
SEEDS = st.integers(0, 2**32)


def response(*hosts: str, rdtype: str = "SRV") -> dns.message.QueryMessage:
    """A server's answer with EDNS, and with the hosts' addresses in the additional section."""
    message = dns.message.make_query(NAME, rdtype, use_edns=0, payload=1232, id=4711)
    answer = dns.message.make_response(message, our_payload=1232)
    answer.flags |= dns.flags.AA | dns.flags.RA
    assert isinstance(answer, dns.message.QueryMessage)
    if hosts:
        values = [f"0 1 80 {host}.example.test." for host in hosts]
        answer.answer.append(dns.rrset.from_text(NAME, 60, "IN", "SRV", *values))
    for number, host in enumerate(hosts):
        name = f"{host}.example.test."
        answer.additional.append(dns.rrset.from_text(name, 60, "IN", "A", f"10.0.0.{number}"))
    return answer


WHOLE = response("a", "b", "c")
WIRE = WHOLE.to_wire()


def spoiled(fault: Fault, seed: int, answer: bytes = WIRE) -> bytes:
    """What becomes of an answer, by dice of that seed."""
    return spoil(Fate(fault, random.Random(seed)), answer, SOA)


def drawn(plan: Plan, transport: Transport, count: int) -> list[Fault | None]:
    """What becomes of so many answers, to ten questions in turn."""
    fates = (plan.draw(transport, b"%d" % (n % 10), n // 10) for n in range(count))
    return [fate and fate.fault for fate in fates]


@pytest.mark.parametrize("transport", BOTH)
def test_the_share_is_kept_and_the_classes_are_even(transport: Transport) -> None:
    """Of 20,000 answers 70 % are broken, by every class that fits as often as by another."""
    counts = Counter(drawn(Plan(share=0.7, faults=tuple(Fault)), transport, 20_000))

    fitting = {fault for fault in Fault if fault.fits(transport)}
    assert set(counts) == {None, *fitting}
    assert counts[None] == pytest.approx(6_000, abs=400)
    for fault in fitting:
        assert counts[fault] == pytest.approx(14_000 / len(fitting), rel=0.2)


@pytest.mark.parametrize("transport", BOTH)
def test_draws_repeat_with_the_seed_alone(transport: Transport) -> None:
    """The same plan does the same again; another seed, question, turn or transport differs."""
    plan = Plan(share=0.5)

    assert drawn(plan, transport, 200) == drawn(Plan(share=0.5), transport, 200)
    assert drawn(plan, transport, 200) != drawn(Plan(share=0.5, seed=1), transport, 200)
    by_question = [plan.draw(transport, b"%d" % n, 0) is None for n in range(64)]
    by_turn = [plan.draw(transport, b"0", n) is None for n in range(64)]
    other: Transport = "udp" if transport == "tcp" else "tcp"
    by_transport = [plan.draw(other, b"0", n) is None for n in range(64)]
    assert len({tuple(by_question), tuple(by_turn), tuple(by_transport)}) == 3


def test_two_attempts_at_one_question_are_independent() -> None:
    """Both are broken as often as chance has it: what hedging relies on."""
    plan = Plan(share=0.7)
    pairs = [
        (plan.draw("udp", b"%d" % n, 0) is None, plan.draw("udp", b"%d" % n, 1) is None)
        for n in range(10_000)
    ]

    assert pairs.count((False, False)) == pytest.approx(4_900, abs=250)
    assert pairs.count((True, True)) == pytest.approx(900, abs=150)


def test_nothing_and_everything_can_be_broken() -> None:
    """A share of 0 and of 1, and no class that fits the transport."""
    assert set(drawn(Plan(share=0), "udp", 500)) == {None}
    assert None not in drawn(Plan(share=1), "udp", 500)
    assert set(drawn(Plan(share=1, faults=TCP_ONLY), "udp", 500)) == {None}
    assert set(drawn(Plan(share=1, faults=TCP_ONLY), "tcp", 500)) == set(TCP_ONLY)


def test_a_plan_survives_its_way_to_the_proxy() -> None:
    """As JSON can carry it."""
    plan = Plan(share=0.25, faults=(Fault.DROP, *LIES), seed=3, additional=False, udp=False)

    words = asdict(plan) | {"faults": [fault.value for fault in plan.faults]}

    assert Plan.from_json(words) == plan


@pytest.mark.parametrize(
    ("fault", "rcode"),
    [
        (Fault.SERVFAIL, dns.rcode.SERVFAIL),
        (Fault.REFUSED, dns.rcode.REFUSED),
        (Fault.BARE_NXDOMAIN, dns.rcode.NXDOMAIN),
        (Fault.BARE_EMPTY, dns.rcode.NOERROR),
    ],
)
def test_bare_answers_are_well_formed_and_empty(fault: Fault, rcode: dns.rcode.Rcode) -> None:
    """They answer the question by a code alone, without SOA."""
    message = dns.message.from_wire(spoiled(fault, 0))

    assert (message.rcode(), message.id, message.question) == (rcode, 4711, WHOLE.question)
    assert not message.answer + message.authority + message.additional
    assert message.flags & 0xFFF0 == WHOLE.flags


def test_a_false_nxdomain_carries_the_soa_record_of_the_zone() -> None:
    """Nothing tells it from a true one."""
    message = dns.message.from_wire(spoiled(Fault.FALSE_NXDOMAIN, 0))

    assert message.rcode() == dns.rcode.NXDOMAIN
    assert [str(rrset) for rrset in message.authority] == [str(START)]
    assert not message.answer


@given(SEEDS)
def test_a_partial_set_lacks_something_and_holds_nothing_else(seed: int) -> None:
    """A well-formed answer with some of the records, or a negative one with SOA."""
    message = dns.message.from_wire(spoiled(Fault.PARTIAL, seed))

    kept = {str(rdata) for rrset in message.answer for rdata in rrset}
    assert kept < {str(rdata) for rdata in WHOLE.answer[0]}
    assert (message.id, message.rcode(), message.question) == (4711, 0, WHOLE.question)
    assert bool(message.authority) == (not kept)
    assert all(rrset in WHOLE.additional for rrset in message.additional)


def test_partial_sets_come_in_every_size() -> None:
    """None, one or two of three records, and each of them goes missing at times."""
    answers = [dns.message.from_wire(spoiled(Fault.PARTIAL, seed)).answer for seed in range(60)]

    sizes = Counter(len(answer[0]) if answer else 0 for answer in answers)
    assert set(sizes) == {0, 1, 2}
    pairs = {frozenset(map(str, answer[0])) for answer in answers if answer and len(answer[0]) == 2}
    assert len(pairs) == 3


def test_a_negative_answer_has_nothing_to_lose() -> None:
    """A partial set of nothing is nothing."""
    negative = response().to_wire()

    assert spoiled(Fault.PARTIAL, 0, negative) == negative


@given(SEEDS)
def test_a_wrong_id_is_never_the_right_one(seed: int) -> None:
    """And everything else is as it was."""
    wrong = spoiled(Fault.WRONG_ID, seed)

    assert wrong[:2] != WIRE[:2]
    assert wrong[2:] == WIRE[2:]


@given(SEEDS)
def test_a_wrong_question_is_well_formed_and_never_the_right_one(seed: int) -> None:
    """Its name differs by more than case, or its type does."""
    wrong = spoiled(Fault.WRONG_QUESTION, seed)

    assert question_of(wrong) != question_of(WIRE)
    assert wrong[:2] == WIRE[:2]
    assert len(dns.message.from_wire(wrong).question) == 1


@given(SEEDS)
def test_what_is_cut_or_garbage_is_no_message(seed: int) -> None:
    """No reader may take it for one; garbage comes with the right ID and with another."""
    cut, garbage = spoiled(Fault.CUT, seed), spoiled(Fault.GARBAGE, seed)

    assert WIRE.startswith(cut)
    assert 0 < len(cut) < len(WIRE)
    for broken in (cut, garbage):
        with pytest.raises(dns.exception.DNSException):
            dns.message.from_wire(broken)


def test_garbage_has_the_right_id_as_often_as_not() -> None:
    """Half of it gets past whoever looks at the ID alone."""
    right = sum(spoiled(Fault.GARBAGE, seed)[:2] == WIRE[:2] for seed in range(400))

    assert right == pytest.approx(200, abs=50)


def test_a_false_tc_comes_with_records_and_without() -> None:
    """As servers differ in what they leave in a truncated answer."""
    messages = [
        dns.message.from_wire(spoiled(Fault.FALSE_TC, seed), ignore_trailing=True)
        for seed in range(20)
    ]

    assert all(message.flags & dns.flags.TC for message in messages)
    assert {bool(message.answer) for message in messages} == {True, False}


@given(st.integers(1, 65535), SEEDS)
def test_a_wrong_length_is_one_that_tcp_can_announce(size: int, seed: int) -> None:
    """Too short or too long, but two octets can say it."""
    length = wrong_length(size, random.Random(seed))

    assert 0 <= length <= 65535
    assert length != size or size == 65535


@pytest.mark.parametrize("fault", list(Fault))
@given(data=st.binary(max_size=80), seed=SEEDS)
def test_whatever_a_server_sends_is_survived(fault: Fault, data: bytes, seed: int) -> None:
    """Bytes that are no message stay as they are, or change; nothing is raised."""
    assert isinstance(spoiled(fault, seed, data), bytes)
    assert isinstance(without_additional(data), bytes)


@given(st.integers(0, len(WIRE)), SEEDS)
def test_an_answer_that_was_cut_before_is_survived(size: int, seed: int) -> None:
    """By every fault, wherever it ends."""
    for fault in Fault:
        assert isinstance(spoiled(fault, seed, WIRE[:size]), bytes)
    assert isinstance(without_additional(WIRE[:size]), bytes)


def test_the_additional_section_can_be_left_out() -> None:
    """Its addresses go; OPT and everything else stay."""
    wire = without_additional(WIRE)
    stripped = dns.message.from_wire(wire)

    assert (stripped.answer, stripped.additional) == (WHOLE.answer, [])
    assert (stripped.edns, stripped.payload, stripped.flags) == (0, 1232, WHOLE.flags)
    assert without_additional(wire) == wire


def test_a_question_is_the_same_whatever_its_case() -> None:
    """But not whatever its type, nor where one octet of the type looks like a letter."""
    lower, upper = (dns.message.make_query(name, "SRV").to_wire() for name in ("a.b.", "A.B."))
    https, other = (dns.message.make_query("a.b.", f"TYPE{n}").to_wire() for n in (65, 97))

    assert question_of(lower) == question_of(upper) != question_of(https)
    assert question_of(https) != question_of(other)
    assert question_of(lower[:14]) == question_of(b"") == b""


def test_lies_are_apart() -> None:
    """Every fault is either a lie or not, and by default none is told."""
    assert {*HONEST, *LIES} == set(Fault)
    assert not set(HONEST) & set(LIES)
    assert Plan().faults == HONEST
