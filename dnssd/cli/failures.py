"""What ends a command early: its exit code, its one line, and the same as JSON."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any, Self

import click

import dnssd.errors as known
from dnssd.errors import DnssdError, NotFound, Refused, UsageError

INTERRUPTED = 128 + signal.SIGINT


class Terminated(SystemExit):
    """SIGTERM: it ends commands as Ctrl-C does, but for those that run until they are stopped."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, for people and for programs.

    Attributes:
        code: The exit code.
        kind: The class in `dnssd.errors`, or `Interrupted`.
        message: One line, `what: why; what to do`; empty where nothing is to be said.
    """

    code: int
    kind: str
    message: str

    @classmethod
    def of(cls, error: BaseException) -> Self | None:
        """What an exception means here; None if it is none of those that commands may raise."""
        if isinstance(error, click.Abort) and error.__cause__ is not None:
            error = error.__cause__
        if isinstance(error, click.ClickException):
            return cls(2, "UsageError", _usage_message(error))
        if isinstance(error, click.Abort | KeyboardInterrupt | Terminated):
            return cls(INTERRUPTED, "Interrupted", _interrupted(error))
        if isinstance(error, SystemExit) and error.__context__ is not None:
            error = error.__context__  # click's way out of a closed pipe
        if isinstance(error, BrokenPipeError):  # whoever read it has read enough, and knows it
            return cls(1, "Unavailable", "")
        if isinstance(error, OSError):  # of stdout, as on a full disk; commands translate others
            why = f"output: {error.strerror or error}; check where it goes"
            return cls(1, "Unavailable", why)
        if isinstance(error, DnssdError):
            return cls(exit_code(error), kind_of(error), one_line(error))
        return None

    def as_json(self) -> dict[str, Any]:
        """The error as it stands in JSON."""
        return {"kind": self.kind, "message": self.message or self.kind.lower()}


def error_json(error: DnssdError) -> dict[str, Any]:
    """An error as it stands in JSON."""
    return {"kind": kind_of(error), "message": one_line(error)}


def exit_code(error: DnssdError) -> int:
    """The exit code that tells a script what kind of error it was."""
    if isinstance(error, Refused):
        return 4
    if isinstance(error, NotFound):
        return 3
    return 2 if isinstance(error, UsageError) else 1


def kind_of(error: DnssdError) -> str:
    """The nearest class of an error that `dnssd.errors` has."""
    return next(cls.__name__ for cls in type(error).__mro__ if hasattr(known, cls.__name__))


def one_line(error: object) -> str:
    """An error's message without a line break."""
    return " ".join(str(error).split())


def _interrupted(error: BaseException) -> str:
    told = " ".join(map(str, error.args))  # by whoever knows what is true now
    return f"interrupted; {one_line(told)}" if told else ""


def _usage_message(error: click.ClickException) -> str:
    message = one_line(error.format_message()).rstrip(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "dnssd"
    return f"{message[:1].lower()}{message[1:]}; see '{path} --help'"
