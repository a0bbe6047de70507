"""One command in one zone or in several: side by side, under one deadline.

Each zone is an operation of its own. One that fails rolls nothing back and stops no other; at
the end each has its line and its entry in JSON, also where the command is interrupted.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from dnssd import errors
from dnssd.cli.failures import Failure, exit_code, kind_of, one_line
from dnssd.cli.output import print_json
from dnssd.cli.reporting import result_is_told, say, wants_json
from dnssd.deadline import Deadline
from dnssd.errors import DnssdError, UsageError
from dnssd.names import shown
from dnssd.registration.operation import NOTHING, Operation
from dnssd.zones.address import ZoneAddress
from dnssd.zones.base import Zone
from dnssd.zones.factory import open_zone

_Result = TypeVar("_Result")
_AT_ONCE = 10.0  # seconds to wait for one answer of a provider, and at least a third of all


@contextmanager
def saying(truth: Callable[[], str] = lambda: NOTHING) -> Iterator[None]:
    """Have an interruption say what is true in the zone, unless it does."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        error.args = error.args or (truth(),)
        raise


@dataclass(slots=True)
class InZone(Generic[_Result]):
    """One zone's part.

    Attributes:
        address: What the user calls the zone.
        deadline: When to give up, the same for all.
        zone: Once it is open.
        operation: What is done there, once it is begun.
        result: What came of it; None if it did not come to its end.
        error: What failed, also after there was a result.
    """

    address: str
    deadline: Deadline
    others: "Parts[_Result]" = field(repr=False)
    zone: Zone | None = None
    operation: Operation | None = None
    result: _Result | None = None
    error: BaseException | None = None

    def open(self) -> Zone:
        """The zone, whose provider is waited for so that a deadline holds several tries.

        Raises:
            UsageError: Another address has opened the same one.
            DnssdError: As `open_zone` does.
        """
        timeout = min(_AT_ONCE, max(1.0, self.deadline.seconds / 3))
        zone = open_zone(self.address, deadline=self.deadline, timeout=timeout)
        self.others.claim(self, zone)
        return zone

    def begin(self, **how: Any) -> Operation:
        """An operation there.

        Args:
            how: As `Operation` has it.
        """
        self.operation = Operation(self.zone or self.open(), self.deadline, **how)
        return self.operation

    def json(self, done: str) -> dict[str, Any]:
        """Its entry in a result, without what the command adds.

        Args:
            done: The state where all went well.
        """
        state = done if self.result is not None else self._state()
        error = self.error
        return {
            "zone": self.address,
            "changed": state not in ("nothing written", "refused"),
            "requests": self.zone.requests if self.zone else 0,
            "error": None if error is None else _error_json(error),
            "state": state,
        }

    def _state(self) -> str:
        state = self.operation.state if self.operation else "nothing written"
        refused = isinstance(self.error, errors.Refused) and state == "nothing written"
        return "refused" if refused else state


class Parts(Generic[_Result]):
    """A command's parts, one for each zone.

    Args:
        addresses: The zones, n >= 1.
        deadline: When to give up.
    """

    def __init__(self, addresses: Sequence[str], deadline: Deadline) -> None:
        self.all = tuple(InZone(address, deadline, self) for address in addresses)
        self._interrupted: BaseException | None = None
        self._claiming = threading.Lock()

    @property
    def done(self) -> tuple[InZone[_Result], ...]:
        """Those that have a result."""
        return tuple(part for part in self.all if part.result is not None)

    @property
    def are_several(self) -> bool:
        """Whether there is more than one."""
        return len(self.all) > 1

    def claim(self, part: InZone[_Result], zone: Zone) -> None:
        """Note which zone an address has opened.

        Raises:
            UsageError: Another one has opened it.
        """
        provider = ZoneAddress.parse(part.address).provider
        with self._claiming:
            for other in self.all:
                known = other.zone
                if other is part or known is None or not zone.zone_id:
                    continue
                same = ZoneAddress.parse(other.address).provider == provider
                if same and known.zone_id == zone.zone_id:
                    what = f"zone {shown(part.address)}: the same as {shown(other.address)}"
                    raise UsageError(f"{what}; leave one out")
            part.zone = zone

    def run(self, task: Callable[[InZone[_Result]], _Result]) -> None:
        """Do it in each; what fails, or is interrupted, is told by `end`."""
        if not self.are_several:
            _run(self.all[0], task)
            return
        threads = [threading.Thread(target=_run, args=(p, task), daemon=True) for p in self.all]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except (KeyboardInterrupt, SystemExit) as error:
            self._interrupted = error
            for part in self.all:
                if part.result is None and part.error is None:
                    truth = part.operation.truth if part.operation else NOTHING
                    part.error = KeyboardInterrupt(truth)

    def end(self, document: dict[str, Any] | None = None) -> None:
        """Tell what failed: a line for each, and an error for the exit code.

        Args:
            document: The result for JSON, which has not been told where no zone has one.

        Raises:
            BaseException: Something did.
        """
        failures = [(part, part.error) for part in self.all if part.error is not None]
        for _, error in failures:
            if not (self.are_several and _is_expected(error)):
                raise error
        for part, error in failures:
            say("error", f"{part.address}: {_message(error)}")
        failure = self._interrupted
        if failure is not None:
            failure.args = (f"{len(failures)} of {len(self.all)} zones are not done",)
        elif failures:
            failure = self._failure([e for _, e in failures if isinstance(e, DnssdError)])
        if failure is None:
            return
        if document is not None and not self.done and wants_json(()):
            result_is_told()
            print_json(document | {"error": _error_json(failure)})
        raise failure

    def _failure(self, failures: Sequence[DnssdError]) -> DnssdError:
        """One error for those of several zones: of their kind, if they are of one."""
        kinds = {kind_of(error) for error in failures}
        codes = {exit_code(error) for error in failures}
        kind: type[DnssdError] = errors.Unavailable
        if len(kinds) == 1 and len(codes) == 1:
            kind = getattr(errors, kinds.pop())
        elif codes == {4}:
            kind = errors.Refused
        elif codes == {2}:
            kind = errors.UsageError
        return kind(f"{len(failures)} of {len(self.all)} zones: the lines above say why")


def _run(part: InZone[_Result], task: Callable[[InZone[_Result]], _Result]) -> None:
    try:
        with saying(lambda: part.operation.truth if part.operation else NOTHING):
            part.result = task(part)
    except (KeyboardInterrupt, SystemExit):
        raise  # of the only one, which runs in the main thread
    except BaseException as error:  # a thread has nobody else to tell it to
        part.error = error


def _is_expected(error: BaseException) -> bool:
    return isinstance(error, DnssdError | KeyboardInterrupt)


def _error_json(error: BaseException) -> dict[str, Any]:
    failure = Failure.of(error)
    return failure.as_json() if failure else {"kind": type(error).__name__, "message": str(error)}


def _message(error: BaseException) -> str:
    failure = Failure.of(error)
    return failure.message if failure else one_line(error)
