"""A metadata service's JSON: another's word, checked before anything is made of it."""

import json
import re
from dataclasses import dataclass
from typing import Self

from dnssd.errors import Unavailable
from dnssd.hosts import addresses

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,119}", re.ASCII)
MAX_TEXT = 64  # characters of what is only shown


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON value of any shape.

    Attributes:
        name: What to call it in errors.
        value: The value.
    """

    name: str
    value: object

    @classmethod
    def parse(cls, name: str, text: str | None) -> Self:
        """Read JSON; what is none is an empty document.

        Args:
            name: What to call it in errors.
            text: The JSON text; None for none.
        """
        try:
            return cls(name, json.loads(text or ""))
        except (ValueError, RecursionError):
            return cls(name, None)

    def at(self, *path: str | int) -> object:
        """The value at the end of keys and indexes; None if there is none."""
        value = self.value
        for step in path:
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value

    def below(self, *path: str | int) -> "list[Document]":
        """The members of a list; none if there is no list."""
        value = self.at(*path)
        return [Document(self.name, item) for item in value] if isinstance(value, list) else []

    def identifier(self, *path: str | int) -> str:
        """A name that this host is told by, in lower case.

        Raises:
            Unavailable: None there, or with characters that belong in no owner.
        """
        text = self.at(*path)
        if not (isinstance(text, str) and _IDENTIFIER.fullmatch(text)):
            where = f"{path[-1]} in the {self.name}" if path else self.name
            raise Unavailable(f"instance metadata: no {where}; try again")
        return text.lower()

    def text(self, *path: str | int) -> str | None:
        """A short text that is only shown; None if absent, empty or not printable."""
        value = self.at(*path)
        if isinstance(value, str) and value.isprintable() and 0 < len(value) <= MAX_TEXT:
            return value
        return None

    def address(self, *path: str | int) -> str | None:
        """An address that others can use; None if absent, empty or of no use to them.

        Raises:
            Unavailable: Not an address.
        """
        value = self.at(*path)
        if value is None or value == "":
            return None
        try:
            return addresses.usable(value if isinstance(value, str) else "")
        except ValueError as error:
            where = path[-1] if path else self.name
            raise Unavailable(f"instance metadata: {where} is not an address; try again") from error
