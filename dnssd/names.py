r"""Domain names.

A name is a row of byte labels: compared without case, kept with it (RFC 4343). Its
text comes in two forms, which `Name.parse` reads:

    str(name)      for people: UTF-8 as it is, `\.` and `\\`, the rest `\DDD` in decimal
    name.master()  for master files (RFC 1035 section 5.1): ASCII, `\DDD` in decimal
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, total_ordering
from typing import Self

from dnssd.errors import MalformedName

MAX_LABEL = 63  # octets (RFC 1035 section 2.3.4)
MAX_NAME = 255  # octets on the wire, with length octets and the root label

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
_PLAIN_LABEL = re.compile(rb"[A-Za-z0-9_-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PIECE = re.compile(r"\\([0-9]{3})|\\([^0-9])|(\.)|([^\\.]+)|\\.{0,3}", re.DOTALL)


@total_ordering
@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class Name:
    """An absolute domain name.

    Attributes:
        octets: As on the wire, without compression: each label behind its length, then 0.
        key: The same in lower case: names of equal keys are equal.

    Args:
        labels: The labels as bytes, the most specific first, without the root label.

    Raises:
        MalformedName: A label is empty or over 63 octets, or the whole is over 255.
    """

    octets: bytes
    key: bytes

    def __init__(self, labels: Iterable[bytes]) -> None:
        octets = bytearray()
        for label in labels:
            if not 0 < len(label) <= MAX_LABEL:
                raise _malformed(tuple(labels), label)
            octets.append(len(label))
            octets += label
        octets.append(0)
        if len(octets) > MAX_NAME:
            raise MalformedName(
                f"domain name: {len(octets)} octets; at most {MAX_NAME} are allowed"
            )
        _set_octets(self, bytes(octets))
        _set_key(self, self.octets.lower())

    @classmethod
    def parse(cls, text: str) -> Self:
        r"""Read a name from text; with or without the last dot it is absolute.

        Args:
            text: Labels joined by dots; `\X` stands for X, `\NNN` for a byte.

        Raises:
            MalformedName: Not a legal name.
        """
        if text == ".":
            return cls(())
        labels = split_labels(text)
        return cls(labels[:-1] if labels[-1] == b"" and len(labels) > 1 else labels)

    @classmethod
    def of_wire(cls, octets: bytes) -> Self:
        """A name out of a packet, whose reader has held every limit already."""
        name = _new(cls)
        _set_octets(name, octets)
        # Lengths are below 64: no letter is among them. Mostly one copy is enough.
        _set_key(name, octets if octets.islower() else octets.lower())
        return name

    @property
    def labels(self) -> tuple[bytes, ...]:
        """The labels, the most specific first, without the root label."""
        return _labels(self.octets)

    @property
    def reversed(self) -> tuple[bytes, ...]:
        """The labels in lower case, the most specific last: to sort by."""
        return _labels(self.key)[::-1]

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Name) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    def __lt__(self, other: object) -> bool:
        """Order by reversed labels, so that a name's descendants follow it directly."""
        return self.reversed < other.reversed if isinstance(other, Name) else NotImplemented

    def __str__(self) -> str:
        return _text(self.octets)

    def __repr__(self) -> str:
        return f"Name({self.labels!r})"

    def master(self) -> str:
        """This name in ASCII, as in a master file."""
        return "".join(_escaped(label) + "." for label in self.labels) or "."

    def lower(self) -> "Name":
        """This name in lower case."""
        return Name.of_wire(self.key)

    @property
    def parent(self) -> "Name":
        """This name without its first label; the root is its own parent."""
        return Name(self.labels[1:])

    def child(self, *labels: bytes) -> "Name":
        """The name `labels` below this one."""
        return Name((*labels, *self.labels))

    def is_below(self, other: "Name") -> bool:
        """Whether this is `other` or one of its descendants."""
        key, rest = other.key, self.key
        while len(rest) > len(key):
            rest = rest[rest[0] + 1 :]
        return rest == key

    def relative_to(self, origin: "Name") -> tuple[bytes, ...]:
        """The labels that this name has more than `origin`.

        Raises:
            MalformedName: This name is not below `origin`.
        """
        if not self.is_below(origin):
            raise MalformedName(f"{self}: not below {origin}; name a zone that contains it")
        return self.labels[: len(self.labels) - len(origin.labels)]


# Slots are set past the frozen dataclass: answers of 400 names are read within a millisecond.
_new = object.__new__
_set_octets, _set_key = (vars(Name)[slot].__set__ for slot in ("octets", "key"))


def _labels(octets: bytes) -> tuple[bytes, ...]:
    labels, at = [], 0
    while length := octets[at]:
        labels.append(octets[at + 1 : at + 1 + length])
        at += 1 + length
    return tuple(labels)


@lru_cache(4096)  # many services share few hosts, whose names are then kept once
def _text(octets: bytes) -> str:
    return ".".join([*map(display, _labels(octets)), ""]) or "."


def _malformed(labels: tuple[bytes, ...], label: bytes) -> MalformedName:
    """What is wrong with one of the labels of a name."""
    if label:
        return MalformedName(
            f"domain name: label {display(label)[:20]}… has {len(label)} octets; "
            f"at most {MAX_LABEL} are allowed"
        )
    text = ".".join(map(display, labels))
    why = "remove the extra dot" if text else "the root is ."
    return MalformedName(f"domain name {shown(text)}: a label is empty; {why}")


def split_labels(text: str) -> tuple[bytes, ...]:
    """Split `text` at its unescaped dots and undo the escapes; labels may be empty.

    Raises:
        MalformedName: No text; a control character as it is; an escape that is none.
    """
    if not isinstance(text, str):
        raise MalformedName(f"{shown(repr(text))}: not a text; give a str")
    if found := _CONTROL.search(text):  # mostly a line break that was read along
        raise MalformedName(
            f"{shown(text)}: a control character; leave it out, or write \\{ord(found[0]):03d}"
        )
    if "\\" not in text and text.isascii():
        return tuple(text.encode().split(b"."))  # as nearly all names are
    labels, label = [], b""
    for piece, is_dot in _pieces(text):
        if is_dot:
            labels.append(label)
        label = b"" if is_dot else label + piece
    return (*labels, label)


def unescape(text: str) -> bytes:
    r"""Undo `\X` and `\NNN`; everything else is UTF-8.

    Raises:
        MalformedName: An escape that is none, or text that is not Unicode.
    """
    return b"".join(piece for piece, _ in _pieces(text))


@lru_cache(4096)
def display(label: bytes) -> str:
    r"""A label for people and terminals: nothing in it can move a cursor.

    Printable UTF-8 stands as it is, a dot and a backslash behind a backslash, and every
    other byte as `\DDD`.
    """
    if _PLAIN_LABEL.fullmatch(label):
        return label.decode()  # as nearly all are
    try:
        text = label.decode()
    except UnicodeDecodeError:
        return _escaped(label)
    return "".join(_displayed(char) for char in text)


def shown(text: str) -> str:
    """A caller's text, quoted and shortened for an error message."""
    shown = text if len(text) <= 70 else text[:67] + "…"
    return ascii(shown) if not shown.isprintable() else repr(shown)


def _displayed(char: str) -> str:
    if char in ".\\":
        return "\\" + char
    if char.isprintable():
        return char
    return "".join(f"\\{byte:03d}" for byte in char.encode())


def _escaped(label: Iterable[int]) -> str:
    return "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03d}" for byte in label)


def _pieces(text: str) -> Iterator[tuple[bytes, bool]]:
    """The bytes of `text`, escapes undone, each with whether it is an unescaped dot."""
    for match in _PIECE.finditer(text):
        digits, escaped, dot, plain = match.groups()
        try:
            if digits is not None:
                yield bytes([int(digits)]), False
            elif dot is None and escaped is None and plain is None:
                raise ValueError(match.group())
            else:
                yield (escaped or dot or plain).encode(), dot is not None
        except ValueError as error:  # UnicodeEncodeError is one
            raise MalformedName(
                f"{shown(text)}: {shown(match.group())} is no escape and no text; "
                "write three digits or one other character behind a backslash"
            ) from error
