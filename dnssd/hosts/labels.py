"""Host labels made from names that are none, and digests that tell hosts apart in public."""

import hashlib
import hmac
import re

from dnssd.services import MAX_HOST_LABEL

_DIGITS = 8  # of a digest in a label: hosts of one name are few
_APPLICATION = b"dnssd: owner of a host"  # keeps the digest apart from those of other programs
_ACCOUNT_DIGITS = 6  # so few that many numbers have one: nobody can find out which it was
_OTHERS = re.compile(r"[^a-z0-9_-]+", re.IGNORECASE | re.ASCII)


def host_label(name: str, place: str = "") -> str:
    """A label for a host of this name: the name itself where it can be one.

    Dots become hyphens, and what is too long is cut; the label then ends in a digest, so that
    two names never get the same one.

    Args:
        name: What the host is called.
        place: What tells it from others that are called so; empty if nothing need.
    """
    label = _OTHERS.sub("-", name).strip("-")
    if label == name and not place and len(label) <= MAX_HOST_LABEL:
        return label
    room = MAX_HOST_LABEL - _DIGITS - 1
    return f"{label[:room].rstrip('-')}-{digest(place, name)[:_DIGITS]}".lstrip("-")


def digest(*parts: str) -> str:
    """32 hexadecimal digits that stand for these texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def machine_digest(machine_id: str) -> str:
    """What stands for a machine ID in public: nobody can tell the ID from it (machine-id(5))."""
    return hmac.new(machine_id.encode(), _APPLICATION, hashlib.sha256).hexdigest()[:32]


def account_digest(account: str) -> str:
    """What stands for a cloud's account in public: enough to know one's own again."""
    return hmac.new(_APPLICATION, account.encode(), hashlib.sha256).hexdigest()[:_ACCOUNT_DIGITS]
