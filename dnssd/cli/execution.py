"""Commands that `--exec` names: split as a shell splits words, run without one."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dnssd.resolver.events import Event

GRACE_SECONDS = 5.0  # that a command gets to end in


def split(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str]:
    """A command's words; none for no command."""
    import shlex

    try:
        words = shlex.split(value or "")
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}") from error
    if value is not None and not words:
        raise click.BadParameter("no command in it")
    return words


def execute(words: Sequence[str], burst: Iterable[Event] = ()) -> str:
    """Run a command with events as JSON lines on its stdin. It ends with this program.

    Returns:
        What went wrong; nothing if it ended with 0.
    """
    from dnssd.cli.output import json_line

    lines = "".join(json_line(event_json(event)) + "\n" for event in burst)
    try:
        # Its output goes to stderr, since stdout holds results and nothing else.
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=sys.stderr)
    except OSError as error:
        return f"--exec {words[0]}: {error.strerror}"
    try:
        process.communicate(lines.encode())
    except BaseException:
        _end(process)
        raise
    code = process.returncode
    how = f"exit code {code}" if code > 0 else f"signal {-code}"
    return f"--exec {words[0]}: it ended with {how}" if code else ""


def event_json(event: Event) -> dict[str, Any]:
    """An event's JSON."""
    from dnssd.cli.lookup import endpoint_json

    endpoint = event.endpoint
    return {
        "event": event.kind,
        "time": time_of(event),
        "name": event.name,
        "endpoint": {"instance": endpoint.instance} | endpoint_json(endpoint) if endpoint else None,
    }


def time_of(event: Event) -> str:
    """When it was noticed, as RFC 3339 has it."""
    return event.time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command as this program was told to end; by force if it takes too long."""
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
