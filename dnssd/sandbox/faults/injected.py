"""Injected faults: what a client meets on a bad day, as often as is asked for."""

import math
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from dnssd.errors import UsageError
from dnssd.names import shown
from dnssd.sandbox.api.exchange import Delivery, Handler, Request, Response, Wrap, around, refusal
from dnssd.sandbox.api.operations import action
from dnssd.sandbox.api.rejections import Rejection, invalid_batch
from dnssd.sandbox.api.rrsets import Action, described
from dnssd.sandbox.api.shapes import read_batch
from dnssd.sandbox.faults.rate import throttling

MIN_DELAY, MAX_DELAY = 0.05, 1.0  # seconds that a slow answer is late


class Fault(StrEnum):
    """What can happen to a request."""

    THROTTLE = "throttle"  # refused: Throttling
    ERROR = "error"  # InternalFailure; every second time after it was carried out
    CUT_BEFORE = "cut-before"  # the connection ends, and nothing is done
    CUT_AFTER = "cut-after"  # it is carried out, and at most half of the answer arrives
    SLOW = "slow"  # the answer is late
    PROTECTED = "protected"  # a change is refused: the record is protected
    GUARDRAIL = "guardrail"  # refused if a name and type would be gone: ACTIVE_RECORD_CHECK


@dataclass(frozen=True, slots=True)
class Mishap:
    """A fault that befalls one request.

    Attributes:
        chance: From 0 to 1: which variant of the fault it is.
    """

    fault: Fault
    chance: float


def parse_faults(text: str) -> dict[Fault, float]:
    """Read `throttle=0.1,slow=0.5`: the probability of each fault.

    Raises:
        UsageError: An unknown fault, one that is named twice, or probabilities that are
            none or make more than 1 together.
    """
    odds: dict[Fault, float] = {}
    for part in text.split(","):
        name, _, number = (word.strip() for word in part.partition("="))
        if name not in list(Fault):
            raise UsageError(f"fault {shown(name)}: unknown; choose among {', '.join(Fault)}")
        if name in odds:
            raise UsageError(f"fault {name}: named twice; give one probability for each")
        odds[Fault(name)] = _probability(name, number)
    if (total := math.fsum(odds.values())) > 1 + 1e-9:
        raise UsageError(f"faults: {total:g} together; probabilities sum to 1 at most")
    return odds


def _probability(name: str, text: str) -> float:
    try:
        probability = float(text)
    except ValueError:
        probability = math.nan
    if not 0 <= probability <= 1:
        raise UsageError(f"fault {name}={shown(text)[1:-1]}: a probability from 0 to 1 is needed")
    return probability


class Dice:
    """Decides what befalls each request.

    Args:
        odds: The probability of each fault.
        rng: Asked for two numbers a request, so that a seed and a number of requests
            determine what befalls the next.
    """

    def __init__(self, odds: Mapping[Fault, float], rng: random.Random) -> None:
        self._odds = dict(odds)
        self._rng = rng
        self._lock = threading.Lock()

    def throw(self) -> Mishap | None:
        """What befalls the next request; None for nothing."""
        with self._lock:
            place, chance = self._rng.random(), self._rng.random()
        for fault, probability in self._odds.items():
            if place < probability:
                return Mishap(fault, chance)
            place -= probability
        return None


def inject(dice: Dice, sleep: Callable[[float], None]) -> Wrap:
    """Let happen to requests what `dice` say.

    Args:
        dice: Decides.
        sleep: Waits for a number of seconds.
    """

    def step(handler: Handler, request: Request) -> Response:
        mishap = dice.throw()
        if mishap is None or not _concerns(mishap.fault, request):
            return handler(request)
        return replace(_befallen(mishap, handler, request, sleep), fault=mishap.fault.value)

    return around(step)


def _concerns(fault: Fault, request: Request) -> bool:
    """Whether a fault can befall a request: some befall only certain changes."""
    if fault not in (Fault.PROTECTED, Fault.GUARDRAIL):
        return True
    return bool(_refused(fault, request))


def _refused(fault: Fault, request: Request) -> list[str]:
    """What a record protection or a change guardrail says of a batch.

    The words are guessed; Route 53 names the record, or the guardrail, in InvalidChangeBatch.
    """
    if action(request) != "ChangeResourceRecordSets":
        return []
    try:
        edits, _ = read_batch(request.body)
    except Rejection:
        return []
    kept = {edit.rrset.key for edit in edits if edit.action is not Action.DELETE}
    if fault is Fault.PROTECTED:
        return [f"The {described(edit.rrset)} is protected" for edit in edits]
    return [
        f"The change guardrail ACTIVE_RECORD_CHECK rejected the deletion of {described(edit.rrset)}"
        for edit in edits
        if edit.rrset.key not in kept
    ]


def _befallen(
    mishap: Mishap, handler: Handler, request: Request, sleep: Callable[[float], None]
) -> Response:
    half = mishap.chance < 0.5
    match mishap.fault:
        case Fault.THROTTLE:
            return refusal(request.id, throttling())
        case Fault.ERROR:
            if half:
                handler(request)
            return refusal(request.id, Rejection("InternalFailure", "An injected fault", 500))
        case Fault.CUT_BEFORE:
            return Response(0, b"", error="ConnectionClosed", delivery=Delivery.NONE)
        case Fault.CUT_AFTER:
            response = handler(request)
            return replace(response, delivery=Delivery.HALF if half else Delivery.NONE)
        case Fault.PROTECTED | Fault.GUARDRAIL:
            return refusal(request.id, invalid_batch(_refused(mishap.fault, request)))
        case Fault.SLOW:
            response = handler(request)
            sleep(MIN_DELAY + mishap.chance * (MAX_DELAY - MIN_DELAY))
            return response
