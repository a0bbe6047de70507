"""The data of an instance, as programs read it."""

from collections.abc import Iterator, Mapping

from dnssd.records import Txt


class Attributes(Mapping[str, bytes | None]):
    """The TXT data of an instance by key, whose case does not count (RFC 6763 section 6.4).

    A key without a value is there and has None.
    """

    __slots__ = ("_values",)

    def __init__(self, txt: Txt) -> None:
        self._values = {key.lower(): (key, value) for key, value in txt.pairs.items()}

    def __getitem__(self, key: str) -> bytes | None:
        if not isinstance(key, str):  # `in` asks for anything
            raise KeyError(key)
        return self._values[key.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self._values.values())

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self)!r})"
