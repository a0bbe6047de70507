"""Questions as packets, and whether a packet repeats one (RFC 1035 section 4.1)."""

import struct

from dnssd.names import Name
from dnssd.wire.message import NUMBERS

PAYLOAD = 1232  # octets: what UDP carries everywhere without fragments

_HEADER = 12  # octets
_CLASS_IN = 1
_RECURSION_DESIRED = 0x0100
_ONE = b"\0\1"
_OPT = struct.pack("!BHHIH", 0, 41, PAYLOAD, 0, 0)  # root, OPT, nothing else (RFC 6891)
_LENGTHS = [bytes((length,)) for length in range(64)]
_pack_header = struct.Struct("!HHHHHH").pack


def question(name: Name, rdtype: str) -> bytes:
    """A question section of one question; the case of its name is kept.

    Args:
        name: The owner.
        rdtype: One of `message.NUMBERS`.
    """
    labels = b"".join([_LENGTHS[len(label)] + label for label in name.labels])
    return labels + struct.pack("!BHH", 0, NUMBERS[rdtype], _CLASS_IN)


def query(id: int, question: bytes, *, edns: bool = True) -> bytes:
    """A packet that asks for recursion too, which authoritative servers pass over.

    Args:
        id: 0 to 65535.
        question: As `question` makes it.
        edns: Whether to say that answers of `PAYLOAD` octets are welcome (RFC 6891).
    """
    header = _pack_header(id, _RECURSION_DESIRED, 1, 0, 0, int(edns))
    return header + question + _OPT if edns else header + question


def answers_question(data: bytes, question: bytes) -> bool:
    """Whether a packet is a response that repeats a question, in whatever case.

    Looks at no more than that: the rest of the packet may be anything.
    """
    # Lower case is for the letters of labels. Lengths are below 64, and so are the types that
    # are asked for: none of those octets is a letter.
    return (
        data[4:6] == _ONE
        and data[2] >= 0x80
        and data[_HEADER : _HEADER + len(question)].lower() == question.lower()
    )
