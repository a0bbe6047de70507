"""The names in a packet, compressed as they are (RFC 1035 section 4.1.4).

A name is labels, then the end or a pointer to where the rest of it stands: to an earlier name
or the end of one, all of whose octets come before those that point. Every name is known by
its offset once it was read; where a pointer has led, so is every name that it ends in. So the
work is bounded by the size of the packet, whatever points where.
"""

from dnssd.names import MAX_LABEL, MAX_NAME, Name
from dnssd.wire.message import MalformedMessage

MAX_POINTERS = 16  # one after the other; compressors make one

_POINTER = 0xC0  # the two high bits of a pointer's first octet; a length has neither
_MOST_STEPS = MAX_NAME // 2 + MAX_POINTERS  # labels and pointers of one name
_ROOT = Name(())
_of_wire, _lower = Name.of_wire, bytes.lower

# A name, its size without compression, where its own octets end, how many pointers it takes,
# and where the octets end that the first of them leads to.
_Known = tuple[Name, int, int, int, int]


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
        data = self.data
        at, labels = start, []
        while (length := data[at]) and length <= MAX_LABEL:
            first = at + 1
            at = first + length
            labels.append(data[first:at])
        if length:
            target = _pointed(data, at)
            rest, size, reach, pointers, _ = self._known.get(target) or self._explore(target)
            end, pointers = at + 2, pointers + 1
        else:
            rest, size, end, pointers, reach = _ROOT, 1, at + 1, 0, 0
        size += at - start
        if reach > start or size > MAX_NAME or pointers > MAX_POINTERS:
            raise MalformedMessage(_BAD)
        if not labels:
            return rest, end
        own = tuple(labels)
        key = own if data[start:at].islower() else tuple(map(_lower, own))
        name = _of_wire(own + rest.labels, key + rest.key)
        self._known[start] = name, size, end, pointers, reach
        return name, end

    def _explore(self, at: int) -> _Known:
        """Have the name at an offset known, and every name that it ends in."""
        data, known = self.data, self._known
        trail: list[int] = []
        while at not in known and (length := data[at]):
            trail.append(at)
            if length <= MAX_LABEL:
                at += 1 + length
            else:
                at = _pointed(data, at)
            if len(trail) > _MOST_STEPS:
                raise MalformedMessage(_BAD)
        name, size, end, pointers, reach = known.get(at) or (_ROOT, 1, at + 1, 0, 0)
        for at in reversed(trail):
            length = data[at]
            if length > MAX_LABEL:
                end, pointers, reach = at + 2, pointers + 1, end
            else:
                size += 1 + length
                own = (data[at + 1 : at + 1 + length],)
                name = _of_wire(own + name.labels, tuple(map(_lower, own)) + name.key)
            if reach > at or size > MAX_NAME or pointers > MAX_POINTERS:
                raise MalformedMessage(_BAD)
            known[at] = name, size, end, pointers, reach
        return name, size, end, pointers, reach


_BAD = "a name that is too long, or that does not point backwards"


def _pointed(data: bytes, at: int) -> int:
    """Where the pointer at an offset leads."""
    high = data[at]
    if high < _POINTER:
        raise MalformedMessage("a label of an unknown type")
    return (high & ~_POINTER) << 8 | data[at + 1]
