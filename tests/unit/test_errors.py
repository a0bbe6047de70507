"""Programs read the fields of errors; people read their one line."""

import copy
import pickle

import pytest

from dnssd import errors
from dnssd.errors import DnssdError, OwnedByAnother

LEAVES = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, DnssdError)
]


@pytest.mark.parametrize("kind", LEAVES)
def test_every_error_has_the_same_fields(kind: type[DnssdError]) -> None:
    """Those that say nothing are None; copies and pickles keep them."""
    error = kind("a: b; c", name="web._http._tcp.example.com.", server="10.0.0.2:53", owner="x")

    for same in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 (ours)
        assert type(same) is kind
        assert str(same) == "a: b; c"
        assert (same.name, same.server) == ("web._http._tcp.example.com.", "10.0.0.2:53")
        assert (same.owner, same.truth) == ("x", None)
    assert (kind().name, str(kind())) == (None, "")


def test_what_is_true_in_the_zone_is_added() -> None:
    """In words at the end of the line, and as a field."""
    error = OwnedByAnother("member a-80: it is another's", owner="host/1").telling("it has joined")

    assert type(error) is OwnedByAnother
    assert str(error) == "member a-80: it is another's; it has joined"
    assert (error.owner, error.truth) == ("host/1", "it has joined")
