"""An agent's configuration: one file in TOML. Pure: text in, settings out.

    zone = "example.com,id=Z0123456789ABC"    # for every service that names none
    metrics = 9464

    [[service]]
    service = "http"
    port = 8080
    check = ["http:///health", "unless-file:/run/maintenance"]

    [[join_address]]
    name = "www.example.com"
    port = 443                                # for its checks

The keys are the options of `dnssd agent`, with underscores. A key of a service that stands at
the top is its value for every service without one, and for every name where names have it.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from dnssd.agent.service import (
    Offer,
    PlainAddress,
    Service,
    Settings,
    plain_address_of,
    service_of,
)
from dnssd.checks import Check
from dnssd.errors import UsageError
from dnssd.names import shown

_Offer = TypeVar("_Offer", bound=Offer)


def parse(text: str, file: str, environ: Mapping[str, str]) -> Settings:
    """Read a configuration.

    Args:
        text: What the file holds.
        file: What it is called, for errors.
        environ: `DNSSD_ZONE`, `DNSSD_INSTANCE` and `DNSSD_NAMESERVER` stand for what is not there.

    Raises:
        UsageError: Something in it is wrong; the message has the line and the key's path.
    """
    return _File(text, file).settings(_from_environment(environ))


class _File:
    """A file that is being read: it knows where its keys stand.

    Args:
        text: What it holds.
        name: What it is called.
    """

    def __init__(self, text: str, name: str) -> None:
        self._lines = text.splitlines()
        self._name = name
        try:
            self._table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            match = re.search(r"^(.*) \(at line (\d+), ", str(error))
            why, line = (match[1], int(match[2])) if match else (str(error), len(self._lines))
            raise UsageError(f"{name}:{line}: {why[:1].lower()}{why[1:]}") from error

    def settings(self, defaults: Mapping[str, Any]) -> Settings:
        """What it says."""
        services, addresses = self._tables("service"), self._tables("join_address")
        own = {key: self._table.pop(key) for key in _AGENT if key in self._table}
        own = {key: self._value((key,), value, _AGENT) for key, value in own.items()}
        common = {**defaults, **self._values((), self._table, _SERVICE)}
        offers = [self._service(n, table, common) for n, table in enumerate(services)]
        names = [self._address(n, table, common) for n, table in enumerate(addresses)]
        if not (offers or names):
            raise UsageError(f"{self._name}: no service in it; write one as [[service]]")
        self._check_unique("service", [service.key for service in offers])
        self._check_unique("haproxy_agent", [s.haproxy_agent for s in offers if s.haproxy_agent])
        self._check_unique("name", [address.key for address in names], "join_address")
        return Settings(services=(*offers, *names), **own)

    def _tables(self, kind: str) -> list[dict[str, Any]]:
        tables = self._table.pop(kind, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise self._wrong((kind,), f"each {kind} is a table: [[{kind}]]")
        return tables

    def _service(self, number: int, table: dict[str, Any], common: Mapping[str, Any]) -> Service:
        path = ("service", number)
        values = {**common, **self._values(path, table, _SERVICE)}
        return self._made(path, service_of, values, ("service", "port"))

    def _address(
        self, number: int, table: dict[str, Any], common: Mapping[str, Any]
    ) -> PlainAddress:
        path = ("join_address", number)
        shared = {key: common[key] for key in common if key in _SHARED}
        values = {**shared, **self._values(path, table, _ADDRESS)}
        return self._made(path, plain_address_of, values, ("name",))

    def _made(
        self,
        path: tuple[Any, ...],
        make: Callable[[dict[str, Any]], _Offer],
        values: dict[str, Any],
        needed: Sequence[str],
    ) -> _Offer:
        for key in needed:
            if _FIELDS.get(key, key) not in values:
                raise self._wrong(path, f"it has no {key}")
        if "zones" not in values:
            raise self._wrong(path, "it has no zone, and neither has the file")
        try:
            return make(values)
        except UsageError as error:
            raise self._wrong(path, str(error)) from error

    def _values(
        self, path: tuple[Any, ...], table: Mapping[str, Any], known: Mapping[str, "_Read"]
    ) -> dict[str, Any]:
        return {
            _FIELDS.get(key, key): self._value((*path, key), value, known)
            for key, value in table.items()
        }

    def _value(self, path: tuple[Any, ...], value: Any, known: Mapping[str, "_Read"]) -> Any:
        key = path[-1]
        if key not in known:
            raise self._wrong(path, f"not known{_nearest(key, (*known, *_AGENT))}")
        try:
            return known[key](value)
        except UsageError as error:
            raise self._wrong(path, str(error)) from error

    def _check_unique(self, key: str, values: Sequence[Any], kind: str = "service") -> None:
        for number, value in enumerate(values):
            if value in values[:number]:
                raise self._wrong((kind, number), f"the same {key} as an earlier one")

    def _wrong(self, path: tuple[Any, ...], why: str) -> UsageError:
        shown_path = "".join(f"[{p + 1}]" if isinstance(p, int) else f".{p}" for p in path)
        return UsageError(f"{self._name}:{self._line(path)}: {shown_path[1:]}: {why}")

    def _line(self, path: tuple[Any, ...]) -> int:
        """Where a key stands, or else the table that it is of; as good as it can be told."""
        begin = 0
        if len(path) > 1 and isinstance(path[1], int):
            head = re.compile(_HEAD.pattern.replace(r"\w+", str(path[0])))
            heads = [n for n, line in enumerate(self._lines) if head.match(line)]
            begin = heads[path[1]] if path[1] < len(heads) else 0
        key = re.escape(str(path[-1]))
        for number, line in enumerate(self._lines[begin:], begin):
            if re.match(rf"\s*(\[+\s*)?[\"']?{key}[\"']?\s*(=|\]|\.)", line):
                return number + 1
            if number > begin and len(path) > 1 and _HEAD.match(line):
                break
        return begin + 1


_Read = Callable[[Any], Any]
_HEAD = re.compile(r"\s*\[\[\s*\w+\s*\]\]")
_FIELDS = {
    "zone": "zones",
    "address": "addresses",
    "nameserver": "nameservers",
    "check": "checks",
    "name": "plain_name",
}  # options that may be repeated, by the names of their fields


def _of(kind: type, what: str) -> _Read:
    def read(value: Any) -> Any:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise UsageError(f"{value!r}: {what} is needed")
        return value

    return read


def _number(least: float, most: float) -> _Read:
    def read(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"{value!r}: a number is needed")
        if not least <= value <= most:
            raise UsageError(f"{value}: {least:g} to {most:g} is allowed")
        return value

    return read


def _integer(least: int, most: int) -> _Read:
    in_range, integer = _number(least, most), _of(int, "a whole number")
    return lambda value: in_range(integer(value))


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(_text(each) for each in values)


def _checks(value: Any) -> tuple[Check, ...]:
    return tuple(map(Check.parse, _texts(value)))


def _txt(value: Any) -> tuple[tuple[str, str | None], ...]:
    if isinstance(value, dict):
        return tuple((key, _text(text)) for key, text in value.items())
    pairs = (text.partition("=") for text in _texts(value))
    return tuple((key, text if equals else None) for key, equals, text in pairs)


def _leave_on_exit(value: Any) -> Any:
    if value not in ("always", "shutdown", "never"):
        raise UsageError(f"{shown(str(value))}: always, shutdown or never is needed")
    return value


_text = _of(str, "a text")
_port = _integer(1, 65_535)
_seconds = _number(0, 86_400)
_SERVICE: dict[str, _Read] = {
    "service": _text,
    "zone": _texts,
    "port": _port,
    "instance": _text,
    "host": _text,
    "cloud": _text,
    "target": _text,
    "address": _texts,
    "priority": _integer(0, 65_535),
    "weight": _integer(0, 65_535),
    "ttl": _integer(1, 2**31 - 1),
    "txt": _txt,
    "takeover": _of(bool, "true or false"),
    "plain_name": _of(bool, "true or false"),
    "lease": _integer(0, 366 * 86_400),
    "splay": _seconds,
    "nameserver": _texts,
    "check": _checks,
    "interval": _number(0.1, 3600),
    "timeout": _number(0.1, 3600),
    "rise": _integer(1, 1000),
    "fall": _integer(1, 1000),
    "start_period": _seconds,
    "drain": _seconds,
    "load": _text,
    "haproxy_agent": _port,
}
_SHARED = {  # by the names of their fields: what a service and a plain address have both
    *("zones", "host", "cloud", "addresses", "ttl", "takeover", "splay", "nameservers"),
    *("checks", "interval", "timeout", "rise", "fall", "start_period", "drain"),
}
_ADDRESS: dict[str, _Read] = {
    **{key: read for key, read in _SERVICE.items() if _FIELDS.get(key, key) in _SHARED},
    "name": _text,
    "port": _port,
    "proxied": _of(bool, "true or false"),
}
_AGENT: dict[str, _Read] = {
    "metrics": _port,
    "metrics_file": _text,
    "complete_hook": _text,
    "leave_on_exit": _leave_on_exit,
}


AGENT_KEYS = frozenset(_AGENT)  # of the agent itself
ADDRESS_KEYS = frozenset(_ADDRESS)


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if zones := environ.get("DNSSD_ZONE", "").split():
        found["zones"] = tuple(zones)
    if nameservers := environ.get("DNSSD_NAMESERVER", "").split():
        found["nameservers"] = tuple(nameservers)
    if instance := environ.get("DNSSD_INSTANCE"):
        found["instance"] = instance
    return found


def _nearest(word: str, words: Sequence[str]) -> str:
    from difflib import get_close_matches  # only for errors

    near = get_close_matches(word, words, 1)
    return f"; do you mean {near[0]}?" if near else f"; there is {', '.join(sorted(words))}"
