"""Sends a request until there is an answer, or an error that is one."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from dnssd.deadline import LONGEST_WAIT_SECONDS, Deadline
from dnssd.errors import DnssdError, OutcomeUnknown

BOOT_SECONDS = 60.0  # who has less time than this is no host at its start
DENIED_WAITS_SECONDS = (5.0, 10.0, 20.0)  # until a new role's rights have spread

_log = logging.getLogger("dnssd.zones")
_Answer = TypeVar("_Answer")


class Fate(Enum):
    """What became of a request."""

    NOT_DONE = "it was not carried out: try again"
    THROTTLED = "it was one too many at this time: try again, later"
    DENIED = "it is not allowed, or not yet"
    UNKNOWN = "it may have been carried out"
    FINAL = "it was refused: trying again will not help"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a request, and the error that says so.

    Attributes:
        cause: What a traceback shows beneath; None where that would show a secret.
        renew: Whether another try needs another session.
    """

    fate: Fate
    error: DnssdError
    cause: Exception | None = None
    renew: bool = False


class Retry:
    """The requests to one provider.

    How long to wait is remembered from one request to the next: a host that was throttled
    just now would only be throttled again.

    Attributes:
        requests: Requests sent so far.
        throttled: How many of them were throttled.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.throttled = 0
        self._trouble = 0  # requests of late that failed: the account's rate is shared by many

    def ask(
        self,
        send: Callable[[], _Answer],
        judge: Callable[[Exception], Verdict],
        deadline: Deadline,
        *,
        changes: bool = False,
        longest: float = LONGEST_WAIT_SECONDS,
    ) -> _Answer:
        """Send until there is an answer, or an error that is one.

        Args:
            send: Sends one request, and reads its answer.
            judge: What an error of it means; raises those that it does not know.
            deadline: When to give up.
            changes: Whether the request changes something, so that an unknown outcome is
                the caller's to settle.
            longest: Seconds, the longest wait.

        Raises:
            OutcomeUnknown: A change may have been made.
            DeadlineExceeded: There is no time left.
            DnssdError: What `judge` calls final.
        """
        denied = iter(DENIED_WAITS_SECONDS if deadline.seconds >= BOOT_SECONDS else ())
        while True:
            self.requests += 1
            try:
                answer = send()
            except Exception as error:
                verdict = judge(error)
                if verdict.fate is Fate.DENIED:
                    self._await_rights(verdict, next(denied, None), deadline)
                else:
                    self._wait(verdict, deadline, changes, longest)
            else:
                self._trouble = max(0, self._trouble - 1)
                return answer

    def _wait(self, verdict: Verdict, deadline: Deadline, changes: bool, longest: float) -> None:
        if verdict.fate is Fate.FINAL:
            self._trouble = max(0, self._trouble - 1)
            raise verdict.error from verdict.cause
        if verdict.fate is Fate.UNKNOWN and changes:
            raise OutcomeUnknown(str(verdict.error), **verdict.error.fields) from verdict.cause
        self.throttled += verdict.fate is Fate.THROTTLED
        _log.info("trying again: %s", verdict.error)
        deadline.back_off(self._trouble, verdict.error, cap=longest)
        self._trouble += 1

    def _await_rights(self, verdict: Verdict, seconds: float | None, deadline: Deadline) -> None:
        if seconds is None or seconds >= deadline.remaining:
            raise verdict.error from verdict.cause
        _log.warning("once more in %g s: %s", seconds, verdict.error)
        deadline.pause(seconds, verdict.error)
