"""Command lines in systemd's units (systemd.service(5), "Command lines").

systemd splits a line into words itself, and then expands `%` and `$`; no shell is involved.
"""

import re
from collections.abc import Iterable

from dnssd.errors import UsageError
from dnssd.names import shown

_PLAIN = re.compile(r"[A-Za-z0-9=:,./_+-]+", re.ASCII)
_SPECIAL = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "%": "%%", "$": "$$"}


def command_line(words: Iterable[str]) -> str:
    """`words` so that systemd passes each of them on as it is.

    It is one line of printable ASCII: it can stand in any other file without harm.

    Raises:
        UsageError: No program can be given a word like that.
    """
    return " ".join(map(_quoted, words))


def assignment(name: str, value: str) -> str:
    """A variable for `Environment=`, where `$` means nothing.

    Raises:
        UsageError: No variable can hold that.
    """
    return _quoted(f"{name}={value}").replace("$$", "$")


def _quoted(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    if "\0" in word:
        raise UsageError(f"{shown(word)}: no option can hold a NUL; leave it out")
    try:
        inner = "".join(_SPECIAL.get(char) or _escaped(char) for char in word)
    except UnicodeEncodeError as error:  # bytes of a command line that were no UTF-8
        raise UsageError(f"{shown(word)}: not UTF-8; write it in UTF-8") from error
    return f'"{inner}"'


def _escaped(char: str) -> str:
    if char.isascii() and char.isprintable():
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode())
