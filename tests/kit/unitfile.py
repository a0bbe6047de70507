"""A reader of systemd's units, written from systemd.syntax(7) and systemd.service(5).

It knows no more than the units of this project need, and fails at what it does not know.
"""

import re
from collections.abc import Mapping

_WORD = re.compile(r"""\s*((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"'\\]|\\.)+)""", re.DOTALL)
_PIECE = re.compile(r"""\\x([0-9a-f]{2})|\\(.)|"|'|([^\\"']+)""", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "'": "'"}
_NOT_DOUBLED = re.compile(r"(?<!\$)(?:\$\$)*\$(?!\$)")


def settings(unit: str) -> dict[str, list[str]]:
    """The values of each setting, in order; sections are not told apart."""
    found: dict[str, list[str]] = {}
    for line in unit.split("\n"):
        assert not line.endswith("\\"), "lines are not continued here"
        if line and not line.startswith(("#", "[")):
            key, equals, value = line.partition("=")
            assert equals, line
            found.setdefault(key, []).append(value)
    return found


def command(value: str, environment: Mapping[str, str] | None = None) -> list[str]:
    """The words that a program is run with, for the value of ExecStart= and the like."""
    return [_expanded(_percent(word), environment or {}) for word in split(value)]


def environment(unit: str) -> dict[str, str]:
    """What Environment= sets."""
    words = [_percent(word) for value in settings(unit)["Environment"] for word in split(value)]
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def split(value: str) -> list[str]:
    """A line's words, unquoted; neither `%` nor `$` is looked at."""
    words, at = [], 0
    while match := _WORD.match(value, at):
        words.append(_unquoted(match[1]))
        at = match.end()
    assert not value[at:].strip(), f"cannot be read: {value[at:]}"
    return words


def _unquoted(word: str) -> str:
    out, quote, at = b"", "", 0
    while at < len(word):
        match = _PIECE.match(word, at)
        assert match, word
        text, (code, escape, plain) = match[0], match.groups()
        if code or escape:
            out += bytes([int(code, 16)]) if code else _ESCAPES[escape].encode()
        elif text in "\"'" and quote in ("", text):
            quote = "" if quote else text
        else:
            out += (plain or text).encode()
        at = match.end()
    return out.decode()


def _percent(word: str) -> str:
    assert not re.search(r"%[^%]|%$", word.replace("%%", "")), f"a specifier: {word}"
    return word.replace("%%", "%")


def _expanded(word: str, environment: Mapping[str, str]) -> str:
    if match := re.fullmatch(r"\$\{(\w+)\}", word):
        return environment[match[1]]
    assert not _NOT_DOUBLED.search(word), f"a variable: {word}"
    return word.replace("$$", "$")
