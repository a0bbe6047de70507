"""What a command says beside its result: on stderr, as lines for people or as JSON."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class _Settings:
    """What this command line has asked for so far.

    Attributes:
        verbosity: How many `-v` were given.
        log_format: `text` or `json`.
        as_json: Whether the result is to be JSON.
        is_stream: Whether it has a line for each event.
        has_told: Whether the result is out, so that no error may follow it there.
    """

    verbosity: int = 0
    log_format: str = "text"
    as_json: bool = False
    is_stream: bool = False
    has_told: bool = False


_settings = _Settings()


def reset_reporting() -> None:
    """Forget the options of an earlier command line in this process."""
    global _settings
    _settings = _Settings()


def set_verbosity(level: int) -> None:
    """Log as much as the most `-v` that were given in one place."""
    _settings.verbosity = max(_settings.verbosity, level)
    start_logging()


def set_log_format(form: str) -> None:
    """Write the log, warnings and errors as `text` or as `json`."""
    _settings.log_format = form
    start_logging()


def set_json(*, is_stream: bool = False) -> None:
    """The result is JSON: an error becomes JSON, too."""
    _settings.as_json = True
    _settings.is_stream = is_stream


def result_is_told() -> None:
    """The document on stdout is out, with its errors: there is to be one alone."""
    _settings.has_told = True


def verbosity() -> int:
    """How many `-v` were given."""
    return _settings.verbosity


def is_stream() -> bool:
    """Whether the result has a line for each event."""
    return _settings.is_stream


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether the result is JSON, also where the arguments were not understood."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return not _settings.has_told and (_settings.as_json or "--json" in own)


def start_logging() -> None:
    """Write the log to stderr; without `-v` only warnings."""
    from dnssd.cli import logs  # logging is not free to import, and --help has nothing to say

    logs.start(verbosity(), _settings.log_format)


def warn(message: str) -> None:
    """One line on stderr that does not end the command."""
    say("warning", message)


def say(level: str, message: str) -> None:
    """One line on stderr, in the form of the log.

    Args:
        level: `warning` or `error`.
        message: What to say.
    """
    message = " ".join(message.split())
    if _settings.log_format == "json":
        when = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        line = {"time": when, "level": level, "logger": "dnssd", "message": message}
        print(json.dumps(line), file=sys.stderr)
    else:
        print("dnssd: " + message, file=sys.stderr)
