"""Cloudflare's listing of records: filters, order and pages."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kit.cloudflare.errors import INVALID, ApiError
from kit.cloudflare.records import Record, Records, Rules, shadows

MAX_PAGE = 5000
DEFAULT_PAGE = 100

_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "": str.__eq__,
    ".exact": str.__eq__,
    ".contains": str.__contains__,
    ".startswith": str.startswith,
    ".endswith": str.endswith,
}
_FILTERS = {
    f"{field}{operator}": (field, test)
    for field in ("name", "content")
    for operator, test in _OPERATORS.items()
}
_OTHERS = {"type", "proxied", "match", "order", "direction", "page", "per_page"}
_SHADOWS = "include_shadow_metadata"


def list_records(
    rules: Rules, records: Records, query: Mapping[str, str]
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """One page of the records that a query asks for, and what page it is.

    Raises:
        ApiError: A parameter that is not known here, or makes no sense.
    """
    if unknown := query.keys() - _FILTERS.keys() - _OTHERS - {_SHADOWS}:
        raise ApiError(INVALID, f"parameters {sorted(unknown)} are not known here")
    wanted = _one_of(query, "match", "all", "any")
    tests = [test for name, value in query.items() if (test := _test(name, value))]
    combined = all if wanted == "all" else any
    found = [r for r in records if not tests or combined(test(r) for test in tests)]
    order = _one_of(query, "order", "type", "name", "content", "ttl", "proxied")
    backwards = _one_of(query, "direction", "asc", "desc") == "desc"
    found.sort(key=lambda record: (getattr(record, order), record.id), reverse=backwards)
    shown = query.get(_SHADOWS) == "true"
    documents = [
        record.document(shadows(rules, records, record.name) if shown else ()) for record in found
    ]
    return page_of(documents, query, DEFAULT_PAGE, MAX_PAGE)


def page_of(
    items: Sequence[dict[str, Any]], query: Mapping[str, str], usual: int, most: int
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The page that a query asks for, and `result_info` about it.

    Raises:
        ApiError: A page that makes no sense, or is longer than is allowed.
    """
    size, page = _number(query, "per_page", usual), _number(query, "page", 1)
    if size > most:
        raise ApiError(INVALID, f"per_page is at most {most}")
    shown = list(items[(page - 1) * size : page * size])
    return shown, {
        "page": page,
        "per_page": size,
        "count": len(shown),
        "total_count": len(items),
        "total_pages": max(1, math.ceil(len(items) / size)),
    }


def _test(name: str, value: str) -> Callable[[Record], bool] | None:
    """The test that a parameter is, None if it is none; case does not count."""
    if name in _FILTERS:
        field, test = _FILTERS[name]
        return lambda record: test(str(getattr(record, field)).lower(), value.lower())
    if name == "type":
        return lambda record: record.type == value
    if name == "proxied":
        return lambda record: str(record.proxied).lower() == value
    return None


def _one_of(query: Mapping[str, str], name: str, *known: str) -> str:
    value = query.get(name, known[0])
    if value not in known:
        raise ApiError(INVALID, f"{name}={value}: one of {', '.join(known)}")
    return value


def _number(query: Mapping[str, str], name: str, usual: int) -> int:
    text = query.get(name, str(usual))
    if not text.isdigit() or int(text) < 1:
        raise ApiError(INVALID, f"{name}={text}: a positive number is needed")
    return int(text)
