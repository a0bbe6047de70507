"""What the demonstration shows on the terminal, and how it stops."""

import os
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence

DNSSD = (sys.executable, "-m", "dnssd")
WIDTH = min(shutil.get_terminal_size().columns, 80)
_BAR = 28  # characters


def heading(text: str) -> None:
    """The title of a step."""
    print("\n" + paint("1", text) + "\n" + paint("1", "-" * len(text)))


def say(text: str) -> None:
    """A paragraph of explanation."""
    print("\n" + textwrap.fill(text, WIDTH), flush=True)


def dnssd(*arguments: str) -> str:
    """Show a command and what it prints; return that, if the command ends well."""
    show_command(arguments)
    output = quietly(*arguments)
    show(output)
    return output


def quietly(*arguments: str) -> str:
    """What a command prints, if it ends well."""
    completed = subprocess.run(
        [*DNSSD, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    command = shlex.join(("dnssd", *arguments))
    said = completed.stdout.strip()
    check(completed.returncode == 0, f"'{command}' failed with {completed.returncode}: {said}")
    return completed.stdout


def show(output: str) -> None:
    """Print what a command has printed, cut to the width of the terminal."""
    for line in output.splitlines():
        print(line if len(line) <= WIDTH or not sys.stdout.isatty() else f"{line[: WIDTH - 1]}…")


def show_command(arguments: Sequence[str]) -> None:
    """The command as a person would type it, broken before its options."""
    lines = [f"$ dnssd {arguments[0]}"]
    for word in arguments[1:]:
        quoted = shlex.quote(word)
        if word.startswith("--") and len(lines[-1]) > WIDTH - 32:
            lines.append(f"      {quoted}")
        else:
            lines[-1] += f" {quoted}"
    print("\n" + paint("1;36", " \\\n".join(lines)), flush=True)


def bar(label: str, count: int, total: int) -> None:
    """How many of all, as a bar."""
    drawn = "█" * round(_BAR * count / total)
    print(f"  {label:<34}{drawn:<{_BAR}} {count:>3} of {total:,}", flush=True)


def paint(code: str, text: str) -> str:
    """The text in a colour, on terminals that show it and for people who want it."""
    plain = (
        not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    )
    return text if plain else f"\033[{code}m{text}\033[0m"


def check(holds: bool, otherwise: str) -> None:
    """Stop the demonstration where something does not hold."""
    if not holds:
        sys.exit(f"scripts/demo: {otherwise}")
