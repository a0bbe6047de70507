"""Key files as BIND's tools write them: `key "NAME" { algorithm ...; secret "..."; };`.

Statements of other kinds, comments and any order are read past, so that a file which
`named.conf` includes will do. No error shows a secret.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from dnssd.errors import MalformedName, UsageError
from dnssd.names import Name, shown
from dnssd.zones.secretfile import read_secret

ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1")
_OUTDATED = ("hmac-md5", "hmac-md5.sig-alg.reg.int")
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|\#[^\n]*|/\*.*?\*/)
      | "(?P<text>(?:[^"\\\n]|\\.)*)"
      | (?P<mark>[{};])
      | (?P<word>[^\s"{};]+)
      | (?P<bad>.)""",
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Key:
    """A key that signs messages (RFC 8945).

    Attributes:
        name: What the server calls it.
        algorithm: One of `ALGORITHMS`.
        secret: Shared with the server.
    """

    name: Name
    algorithm: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Token:
    line: int
    text: str
    is_mark: bool


def load_key(path: str, name: str | None) -> Key:
    """Read the key of a file.

    Args:
        path: Of the file. That every user of the host may read it is warned of.
        name: Which of its keys; None for the only one.

    Raises:
        UsageError: No such file or key, or not a key file; the message gives the line.
    """
    keys = read_keys(read_secret(path, "key file"), path)
    if name is not None:
        wanted = Name.parse(name)
        keys = tuple(key for key in keys if key.name == wanted)
    if len(keys) == 1:
        return keys[0]
    if not keys:
        called = "" if name is None else f" called {name}"
        raise UsageError(f"key file {path}: it holds no key{called}; 'tsig-keygen' makes one")
    names = ", ".join(str(key.name) for key in keys)
    raise UsageError(f"key file {path}: it holds several keys: {names}; append ,key=NAME")


def read_keys(text: str, source: str) -> tuple[Key, ...]:
    """Read every key of a text.

    Args:
        text: What the file holds.
        source: Its name, for errors.

    Raises:
        UsageError: A key that is none; the message gives its line.
    """
    tokens = list(_tokens(text, source))
    keys, at, depth = [], 0, 0
    while at < len(tokens):
        token = tokens[at]
        if token.text == "key" and not depth and _opens(tokens, at + 2):
            key, at = _read_key(tokens, at, source)
            keys.append(key)
            continue
        if token.is_mark:
            depth += {"{": 1, "}": -1}.get(token.text, 0)
        at += 1
    return tuple(keys)


def _opens(tokens: list[_Token], at: int) -> bool:
    return at < len(tokens) and tokens[at].is_mark and tokens[at].text == "{"


def _read_key(tokens: list[_Token], at: int, source: str) -> tuple[Key, int]:
    """The key whose word stands at `at`, and where the next statement starts."""
    start = tokens[at + 1]
    where = f"{source}:{start.line}: key {shown(start.text)}"
    fields: dict[str, _Token] = {}
    at += 3
    while at < len(tokens) and tokens[at].text != "}":
        what, *value = tokens[at : at + 3]
        if len(value) < 2 or value[0].is_mark or value[1].text != ";":
            raise UsageError(f"{where}: line {what.line} is not WORD VALUE;")
        if what.text not in ("algorithm", "secret") or what.text in fields:
            raise UsageError(f"{where}: line {what.line}: one algorithm and one secret make a key")
        fields[what.text] = value[0]
        at += 3
    if at >= len(tokens):
        raise UsageError(f"{where}: it does not end; '}};' is missing")
    return _key(start, fields, where), at + 1


def _key(start: _Token, fields: dict[str, _Token], where: str) -> Key:
    if "secret" not in fields:
        raise UsageError(f"{where}: it has no secret")
    algorithm = fields["algorithm"].text.lower().rstrip(".") if "algorithm" in fields else ""
    algorithm = algorithm or ALGORITHMS[0]
    if algorithm in _OUTDATED:
        raise UsageError(f"{where}: {algorithm} is outdated; make a key with 'tsig-keygen'")
    if algorithm not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise UsageError(f"{where}: no algorithm {shown(algorithm)}; there is {known}")
    try:
        secret = base64.b64decode(fields["secret"].text, validate=True)
        if not secret:
            raise ValueError
        return Key(Name.parse(start.text), algorithm, secret)
    except MalformedName as error:
        raise UsageError(f"{where}: {error}") from error
    except (binascii.Error, ValueError):
        line = fields["secret"].line
        raise UsageError(f"{where}: the secret in line {line} is not base64") from None


def _tokens(text: str, source: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        found = match.group()
        if match["bad"]:
            raise UsageError(f"{source}:{line}: a quote or comment that does not end")
        if match["space"] is None:
            quoted = match["text"]
            yield _Token(line, found if quoted is None else quoted, match["mark"] is not None)
        line += found.count("\n")
