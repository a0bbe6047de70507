"""Pages of listings: how many items, from where on, and what follows them."""

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TypeVar

from dnssd.errors import MalformedName
from dnssd.names import Name
from dnssd.sandbox.api.rejections import invalid_input
from dnssd.sandbox.api.validation import read_name

T = TypeVar("T")


def page_of(items: Iterable[T], limit: int) -> tuple[list[T], T | None]:
    """The first `limit` items, and the one after them if there is one."""
    found = list(islice(items, limit + 1))
    return found[:limit], found[limit] if len(found) > limit else None


def max_items(query: Mapping[str, str], limit: int) -> int:
    """How many items a request wants: `limit` at the most, and if it does not say.

    Raises:
        Rejection: InvalidInput: not a positive number.
    """
    text = query.get("maxitems", str(limit))
    if not re.fullmatch("0*[1-9][0-9]{0,8}", text):
        raise invalid_input(f"maxitems {text} is not a positive number")
    return min(int(text), limit)


def start_name(query: Mapping[str, str], field: str) -> Name | None:
    """The name that a listing shall start at, in lower case; None for the first.

    Raises:
        Rejection: InvalidInput: not a name.
    """
    text = query.get(field)
    if not text:
        return None
    try:
        return read_name(text).lower()
    except MalformedName as error:
        raise invalid_input(str(error)) from error
