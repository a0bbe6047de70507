"""Which names and values Route 53 takes, and what it says of those that it refuses."""

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache

from dnssd.errors import MalformedName, MalformedRecord
from dnssd.names import MAX_LABEL, MAX_NAME, Name, split_labels
from dnssd.records import MAX_STRING
from dnssd.sandbox.api.rdata import wire_rdata
from dnssd.sandbox.api.rrsets import HostedRRset
from dnssd.zones.route53 import text as route53

MAX_VALUE = 4000  # characters of one value
MAX_VALUES = 400  # in one RRset

_PRINTABLE = re.compile(r"[ -~]*")
_ESCAPES = re.compile(r"(?:[^\\]|\\[0-3][0-7]{2})*")
_STRING = r'"((?:[^"\\]|\\[^0-9]|\\[0-3][0-7]{2})*)"'
_STRINGS = re.compile(f"{_STRING}(?: +{_STRING})*")
_ESCAPE = re.compile(r"\\(?:[0-7]{3}|.)")


class _Fatal(Exception):
    """What Route 53 calls a FATAL problem: a code, and an explanation in brackets."""


def read_name(text: str) -> Name:
    r"""Read a name as Route 53 wants it sent: ASCII, `\OOO` for what is no plain character.

    Raises:
        MalformedName: What Route 53 would say of it.
    """
    try:
        return _name(text)
    except _Fatal as fatal:
        raise MalformedName(f"FATAL problem: {fatal} encountered with '{text}'") from fatal


def rrset_problems(rrset: HostedRRset) -> list[str]:
    """What is wrong with the values of `rrset`, one message for each problem."""
    problems = [
        f"Invalid Resource Record: FATAL problem: {problem} encountered with '{text}'"
        for text in rrset.texts
        if (problem := value_problem(rrset.rdtype, text))
    ]
    if len(rrset.texts) > MAX_VALUES:
        problems.append(f"Cannot have more than {MAX_VALUES} records in a RRSet.")
    if len(rrset.texts) > 1 and rrset.rdtype in ("CNAME", "SOA"):
        problems.append(f"{rrset.rdtype} RRSets may have only one resource record.")
    return problems + [f"Duplicate Resource Record: '{text}'" for text in _repeated(rrset)]


def value_problem(rdtype: str, text: str) -> str | None:
    """What is wrong with one value, None if nothing is."""
    if len(text) > MAX_VALUE:
        return f"{rdtype}RDATATooLong (Value is too long)"
    return _checked(rdtype, text)


@lru_cache(maxsize=8192)  # a swap of an RRset repeats all its values twice
def _checked(rdtype: str, text: str) -> str | None:
    try:
        if not _PRINTABLE.fullmatch(text):
            raise _Fatal("UnsupportedCharacter (Value contains unsupported characters)")
        _CHECKS.get(rdtype, _any)(rdtype, text)
    except _Fatal as fatal:
        return str(fatal)
    return None


def _repeated(rrset: HostedRRset) -> list[str]:
    """The values that stand in `rrset` before, in these or other words."""
    seen, repeated = set(), []
    for text in rrset.texts:
        if value_problem(rrset.rdtype, text):
            continue
        meaning = wire_rdata(rrset.rdtype, text).canonical
        if meaning in seen:
            repeated.append(text)
        seen.add(meaning)
    return repeated


def _name(text: str) -> Name:
    if not _PRINTABLE.fullmatch(text) or " " in text or not _ESCAPES.fullmatch(text):
        raise _Fatal("UnsupportedCharacter (Value contains unsupported characters)")
    if not text:
        raise _Fatal("DomainLabelEmpty (Domain label is empty)")
    try:
        return route53.read_name(text)
    except MalformedName as error:
        raise _Fatal(_why(text)) from error


def _why(text: str) -> str:
    labels = split_labels(route53.decimal(text))
    if any(len(label) > MAX_LABEL for label in labels):
        return "DomainLabelTooLong (Domain label is too long)"
    if sum(len(label) + 1 for label in labels) > MAX_NAME:
        return "DomainNameTooLong (Domain name is too long)"
    return "DomainLabelEmpty (Domain label is empty)"


def _fields(rdtype: str, text: str, *names: str) -> list[str]:
    fields = text.split(" ")
    if len(fields) != len(names) or "" in fields:
        raise _Fatal(
            f"{rdtype}RRDATANot{len(names)}Fields (Value must hold {', '.join(names)}, "
            "with a space between them)"
        )
    return fields


def _number(rdtype: str, name: str, text: str, limit: int) -> None:
    if not text.isdigit() or len(text) > 10 or int(text) > limit:
        raise _Fatal(f"{rdtype}RRDATAIllegal{name.title()} (Value of {name} is not 0 to {limit})")


def _single(rdtype: str, text: str) -> None:
    if " " in text:
        raise _Fatal(f"{rdtype}RRDATANotSingleField (Value contains spaces)")


def _a(rdtype: str, text: str) -> None:
    _single(rdtype, text)
    try:
        ipaddress.IPv4Address(text)
    except ValueError as error:
        raise _Fatal("ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)") from error


def _aaaa(rdtype: str, text: str) -> None:
    _single(rdtype, text)
    try:
        if ipaddress.IPv6Address(text).scope_id:
            raise ValueError(text)
    except ValueError as error:
        raise _Fatal("AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)") from error


def _one_name(rdtype: str, text: str) -> None:
    _single(rdtype, text)
    _name(text)


def _srv(rdtype: str, text: str) -> None:
    *numbers, target = _fields(rdtype, text, "priority", "weight", "port", "target")
    for name, number in zip(("priority", "weight", "port"), numbers, strict=True):
        _number(rdtype, name, number, 65535)
    _name(target)


def _txt(rdtype: str, text: str) -> None:
    if not _STRINGS.fullmatch(text):
        raise _Fatal("InvalidCharacterString (Value should be enclosed in quotation marks)")
    if any(len(_ESCAPE.sub("x", string)) > MAX_STRING for string in re.findall(_STRING, text)):
        raise _Fatal("CharacterStringTooLong (Value is too long)")


def _any(rdtype: str, text: str) -> None:
    """Types that dnssd does not use: what cannot be sent is wrong."""
    try:
        wire_rdata(rdtype, text)
    except MalformedRecord as error:
        raise _Fatal(f"{rdtype}RRDATAIllegal (Value is not valid)") from error


def _caa(rdtype: str, text: str) -> None:
    if not text.endswith('"'):
        raise _Fatal('CAARRDATAIllegal (Value must hold flags tag "value")')
    _any(rdtype, text)


_CHECKS: dict[str, Callable[[str, str], None]] = {
    "A": _a,
    "AAAA": _aaaa,
    "CAA": _caa,
    "CNAME": _one_name,
    "NS": _one_name,
    "PTR": _one_name,
    "SPF": _txt,
    "SRV": _srv,
    "TXT": _txt,
}
_OTHERS = {"DS", "HTTPS", "MX", "NAPTR", "SOA", "SSHFP", "SVCB", "TLSA"}

TYPES = frozenset(_CHECKS) | _OTHERS
