"""Which faults are injected, and what each of them is, without network and time."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.errors import UsageError
from dnssd.sandbox.api.exchange import Delivery, Request, Response
from dnssd.sandbox.faults.injected import (
    MAX_DELAY,
    MIN_DELAY,
    Dice,
    Fault,
    Mishap,
    inject,
    parse_faults,
)
from kit.route53 import batch, rrset_path

REQUEST = Request("1", "POST", "/", {}, {})


class _Loaded(Dice):
    """Dice that always show one thing."""

    def __init__(self, mishap: Mishap | None) -> None:
        self.mishap = mishap

    def throw(self) -> Mishap | None:
        return self.mishap


def _befall(mishap: Mishap | None, request: Request = REQUEST) -> tuple[Response, int, list[float]]:
    """The answer, how often the operation was carried out, and what was slept."""
    handled: list[Request] = []
    slept: list[float] = []

    def handler(request: Request) -> Response:
        handled.append(request)
        return Response(200, b"done")

    response = inject(_Loaded(mishap), slept.append)(handler)(request)
    return response, len(handled), slept


def test_most_requests_meet_nothing() -> None:
    """The answer is the operation's own."""
    assert _befall(None) == (Response(200, b"done"), 1, [])


@pytest.mark.parametrize(
    ("fault", "chance", "error", "handled", "delivery"),
    [
        (Fault.THROTTLE, 0.1, "Throttling", 0, Delivery.WHOLE),
        (Fault.ERROR, 0.49, "InternalFailure", 1, Delivery.WHOLE),
        (Fault.ERROR, 0.5, "InternalFailure", 0, Delivery.WHOLE),
        (Fault.CUT_BEFORE, 0.1, "ConnectionClosed", 0, Delivery.NONE),
        (Fault.CUT_AFTER, 0.49, None, 1, Delivery.HALF),
        (Fault.CUT_AFTER, 0.5, None, 1, Delivery.NONE),
        (Fault.SLOW, 0.1, None, 1, Delivery.WHOLE),
    ],
)
def test_each_fault_is_what_it_says(
    fault: Fault, chance: float, error: str | None, handled: int, delivery: Delivery
) -> None:
    """Whether the operation is carried out, and how much of the answer arrives."""
    response, count, _ = _befall(Mishap(fault, chance))

    assert (response.error, count, response.delivery) == (error, handled, delivery)
    assert response.fault == fault.value
    assert response.status == {"InternalFailure": 500, "Throttling": 400}.get(
        error or "", 0 if fault is Fault.CUT_BEFORE else 200
    )


@pytest.mark.parametrize(
    ("fault", "edits", "says"),
    [
        (Fault.PROTECTED, ["CREATE"], "name='a.test.', type='A'] is protected"),
        (Fault.PROTECTED, ["DELETE", "CREATE"], "name='a.test.', type='A'] is protected"),
        (Fault.GUARDRAIL, ["DELETE"], "ACTIVE_RECORD_CHECK rejected the deletion of resource"),
        (Fault.GUARDRAIL, ["DELETE", "CREATE"], ""),
        (Fault.GUARDRAIL, ["CREATE"], ""),
        (Fault.PROTECTED, ["nonsense"], ""),
    ],
)
def test_protections_and_guardrails_refuse_changes(
    fault: Fault, edits: list[str], says: str
) -> None:
    """A guardrail only those after which nothing answers for a name and type."""
    body = batch(*((action, "a.test", "A", "10.0.0.1") for action in edits))
    change = Request("1", "POST", rrset_path("Z1"), {}, {}, body.encode())

    response, handled, _ = _befall(Mishap(fault, 0.5), change)

    assert (response.error, handled) == (("InvalidChangeBatch", 0) if says else (None, 1))
    assert says in response.body.decode().replace("&apos;", "'")
    assert response.fault == (fault.value if says else None)


def test_reading_is_neither_protected_nor_guarded() -> None:
    """Both are about changes."""
    for fault in (Fault.PROTECTED, Fault.GUARDRAIL):
        assert _befall(Mishap(fault, 0.5))[0].error is None


def test_a_slow_answer_is_late_within_bounds() -> None:
    """The whole answer comes, after a time between the shortest and the longest."""
    for chance, delay in ((0.0, MIN_DELAY), (0.5, 0.525), (1.0, MAX_DELAY)):
        response, _, slept = _befall(Mishap(Fault.SLOW, chance))
        assert response.body == b"done"
        assert slept == [pytest.approx(delay)]


def test_faults_come_as_often_as_asked_for() -> None:
    """Within a hundredth, over 20,000 throws of one seed."""
    odds = parse_faults("throttle=0.1,error=0.05,cut-before=0.05,cut-after=0.05,slow=0.1")
    dice = Dice(odds, random.Random(1))

    thrown = Counter(mishap.fault if (mishap := dice.throw()) else None for _ in range(20_000))

    for fault, probability in odds.items():
        assert thrown[fault] / 20_000 == pytest.approx(probability, abs=0.01)
    assert thrown[None] / 20_000 == pytest.approx(0.65, abs=0.01)


def test_a_seed_brings_the_same_faults_again() -> None:
    """Another seed brings others."""
    odds = {Fault.ERROR: 0.3, Fault.SLOW: 0.3}
    first, second, other = (Dice(odds, random.Random(seed)) for seed in (7, 7, 8))

    runs = [[dice.throw() for _ in range(50)] for dice in (first, second, other)]

    assert runs[0] == runs[1] != runs[2]


def test_dice_are_thrown_by_many_at_once() -> None:
    """All that several threads throw together is what one alone would have thrown."""
    dice = Dice({Fault.ERROR: 0.5}, random.Random(3))
    alone = Dice({Fault.ERROR: 0.5}, random.Random(3))
    start = threading.Barrier(4)

    def throw() -> list[Mishap | None]:
        start.wait()
        return [dice.throw() for _ in range(2000)]

    with ThreadPoolExecutor(4) as pool:
        throwers = [pool.submit(throw) for _ in range(4)]

    together = Counter(mishap for thrower in throwers for mishap in thrower.result())
    assert together == Counter(alone.throw() for _ in range(8000))


def test_certain_faults_and_impossible_ones() -> None:
    """Probability 1 is always, 0 is never."""
    always = Dice(parse_faults("slow=0, error=1.0"), random.Random(0))
    never = Dice(parse_faults("error=0"), random.Random(0))

    assert {mishap.fault for _ in range(100) if (mishap := always.throw())} == {Fault.ERROR}
    assert [always.throw() for _ in range(100)].count(None) == 0
    assert {never.throw() for _ in range(100)} == {None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "fault '': unknown; choose among throttle, error, cut-before, cut-after, slow"),
        ("fire=0.1", "fault 'fire': unknown"),
        ("slow=0.1,", "fault '': unknown"),
        ("slow", "fault slow=: a probability from 0 to 1 is needed"),
        ("slow=1.1", "fault slow=1.1: a probability"),
        ("slow=-0.1", "fault slow=-0.1: a probability"),
        ("slow=nan", "fault slow=nan: a probability"),
        ("slow=x\n", "fault slow=x: a probability"),
        ("slow=0.1,slow=0.1", "fault slow: named twice"),
        ("slow=0.6,error=0.5", "faults: 1.1 together; probabilities sum to 1 at most"),
    ],
)
def test_odds_that_make_no_sense_are_refused(text: str, message: str) -> None:
    """One line says what is wrong and what is allowed."""
    with pytest.raises(UsageError) as caught:
        parse_faults(text)

    assert str(caught.value).startswith(message)


def test_tenths_may_sum_to_one() -> None:
    """What people mean by 1 is a little more to a computer."""
    text = "throttle=0.1,error=0.2,cut-before=0.3,cut-after=0.3,slow=0.1"

    assert sum(parse_faults(text).values()) == pytest.approx(1)


@given(st.text(max_size=30) | st.from_regex(r"((slow|error)=[0-9.e-]{0,4},?){0,3}", fullmatch=True))
def test_any_text_is_read_or_refused(text: str) -> None:
    """A UsageError of one line, or odds that are some."""
    said = _odds_or_complaint(text)

    assert said.isprintable() if isinstance(said, str) else 0 <= said <= 1 + 1e-6


def _odds_or_complaint(text: str) -> float | str:
    try:
        return sum(parse_faults(text).values())
    except UsageError as error:
        return str(error)
