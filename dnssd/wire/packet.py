"""The names in a packet, compressed as they are (RFC 1035 section 4.1.4).

A name is labels, then the end or a pointer to where the rest of it stands: to an earlier name
or the end of one, all of whose octets come before those that point. Wherever reading has
begun, by itself or led by a pointer, the name is known from then on; and in long names it
begins anew every few labels. So the work is bounded by the size of the packet, whatever
points where.
"""

from dnssd.names import MAX_LABEL, MAX_NAME, Name
from dnssd.wire.message import MalformedMessage

MAX_POINTERS = 16  # one after the other; compressors make one

_POINTER = 0xC0  # the two high bits of a pointer's first octet; a length has neither
_STRIDE = range(8)  # labels that are read at a time: what follows is known by itself
_DEEPEST = MAX_NAME // 2 // len(_STRIDE) + MAX_POINTERS + 1  # times that, in one name
_ROOT = Name(())
_of_wire = Name.of_wire

# A name, where its own octets end, how many pointers it takes, and where the octets end that
# the first of them leads to.
_Known = tuple[Name, int, int, int]


class Packet:
    """The octets of a packet, and the names that are known in it.

    Args:
        data: The packet.
    """

    __slots__ = ("_known", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._known: dict[int, _Known] = {}

    def name(self, start: int) -> tuple[Name, int]:
        """The name at an offset, and where its own octets end.

        Raises:
            MalformedMessage: Not a name.
            IndexError: It goes on past the packet.
        """
        first = self.data[start]
        if not first:
            return _ROOT, start + 1
        if first >= _POINTER:  # mostly to what is known, all of which ends before this
            known = self._known.get((first & ~_POINTER) << 8 | self.data[start + 1])
            if known and known[2] < MAX_POINTERS:
                return known[0], start + 2
        known = self._read(start, 0)
        return known[0], known[1]

    def _read(self, start: int, depth: int) -> _Known:
        """Have a name known; `depth` is in how many that were begun before it ends."""
        data = self.data
        at = start
        length = data[at]
        for _ in _STRIDE:
            if not 0 < length <= MAX_LABEL:
                break
            at += length + 1
            length = data[at]
        if not length:
            rest, end, pointers, reach = _ROOT, at + 1, 0, 0
        elif depth > _DEEPEST:
            raise MalformedMessage(_BAD)
        elif length <= MAX_LABEL:
            rest, end, pointers, reach = self._known.get(at) or self._read(at, depth + 1)
        else:
            target = _pointed(data, at)
            rest, reach, pointers, _ = self._known.get(target) or self._read(target, depth + 1)
            end, pointers = at + 2, pointers + 1
        octets = data[start:at] + rest.octets
        if reach > start or len(octets) > MAX_NAME or pointers > MAX_POINTERS:
            raise MalformedMessage(_BAD)
        known = self._known[start] = _of_wire(octets), end, pointers, reach
        return known


_BAD = "a name that is too long, or that does not point backwards"


def _pointed(data: bytes, at: int) -> int:
    """Where the pointer at an offset leads."""
    high = data[at]
    if high < _POINTER:
        raise MalformedMessage("a label of an unknown type")
    return (high & ~_POINTER) << 8 | data[at + 1]
