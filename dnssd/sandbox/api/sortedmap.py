"""An immutable sorted map whose versions share what they have in common.

A zone of 10,000 RRsets changes a few of them at a time, and every version of it is kept.
The items stand in chunks; a change copies one chunk and the short list of chunks.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Key = tuple[str, str, str]
V = TypeVar("V")

_MAX_CHUNK = 128  # items: as many as make copying a chunk and the list of chunks alike


@dataclass(frozen=True, slots=True)
class _Chunk(Generic[V]):
    keys: tuple[Key, ...]
    values: tuple[V, ...]

    def at(self, key: Key) -> tuple[int, bool]:
        """Where `key` belongs in this chunk, and whether it is there."""
        index = bisect_left(self.keys, key)
        return index, index < len(self.keys) and self.keys[index] == key

    def spliced(self, start: int, end: int, *items: tuple[Key, V]) -> "_Chunk[V]":
        """This chunk with `items` in place of those from `start` to `end`."""
        keys, values = tuple(key for key, _ in items), tuple(value for _, value in items)
        return _Chunk(
            (*self.keys[:start], *keys, *self.keys[end:]),
            (*self.values[:start], *values, *self.values[end:]),
        )

    def split(self) -> "tuple[_Chunk[V], ...]":
        """This chunk as none, one or two of a good size."""
        if not self.keys:
            return ()
        if len(self.keys) <= _MAX_CHUNK:
            return (self,)
        middle = len(self.keys) // 2
        return (
            _Chunk(self.keys[:middle], self.values[:middle]),
            _Chunk(self.keys[middle:], self.values[middle:]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class SortedMap(Generic[V]):
    """Values by key, in the order of the keys."""

    _chunks: tuple[_Chunk[V], ...] = ()
    _size: int = 0
    _firsts: tuple[Key, ...] = field(init=False, repr=False)  # the first key of each chunk

    def __post_init__(self) -> None:
        object.__setattr__(self, "_firsts", tuple(chunk.keys[0] for chunk in self._chunks))

    def __len__(self) -> int:
        return self._size

    def get(self, key: Key) -> V | None:
        """The value at `key`, None if there is none."""
        if not self._chunks:
            return None
        chunk = self._chunks[self._home(key)]
        index, found = chunk.at(key)
        return chunk.values[index] if found else None

    def put(self, key: Key, value: V) -> "SortedMap[V]":
        """This map with `value` at `key`."""
        if not self._chunks:
            return SortedMap((_Chunk((key,), (value,)),), 1)
        home = self._home(key)
        index, found = self._chunks[home].at(key)
        chunk = self._chunks[home].spliced(index, index + found, (key, value))
        return self._with_chunk(home, chunk, self._size + (not found))

    def drop(self, key: Key) -> "SortedMap[V]":
        """This map without `key`.

        Raises:
            KeyError: It is not there.
        """
        if self.get(key) is None:
            raise KeyError(key)
        home = self._home(key)
        index, _ = self._chunks[home].at(key)
        return self._with_chunk(home, self._chunks[home].spliced(index, index + 1), self._size - 1)

    def since(self, key: Key = ("", "", "")) -> Iterator[V]:
        """The values at `key` and after it; the first costs a search, each further one a step."""
        home = self._home(key)
        start = self._chunks[home].at(key)[0] if self._chunks else 0
        for chunk in self._chunks[home:]:
            yield from chunk.values[start:]
            start = 0

    def chunks(self) -> Iterator[tuple[V, ...]]:
        """All values in order, in pieces that versions have in common."""
        return (chunk.values for chunk in self._chunks)

    def _home(self, key: Key) -> int:
        return max(bisect_right(self._firsts, key) - 1, 0)

    def _with_chunk(self, home: int, chunk: _Chunk[V], size: int) -> "SortedMap[V]":
        chunks = (*self._chunks[:home], *chunk.split(), *self._chunks[home + 1 :])
        return SortedMap(chunks, size)
