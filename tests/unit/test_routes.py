import pytest

from dnssd.wire.routes import has_way, source_for


@pytest.mark.parametrize(
    ("destination", "source", "expected"),
    [
        ("192.0.2.9", "10.0.0.5", True),
        ("10.0.0.9", None, False),
        ("192.0.2.9", "169.254.3.4", False),  # IPv4 that each link makes up for itself
        ("169.254.7.7", "169.254.3.4", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("2001:db8::9", "fd00::5", True),
        ("2001:db8::9", "fe80::5", False),
        ("fe80::9", "FE80::5", True),
    ],
)
def test_a_way_begins_at_an_address_of_the_same_scope(
    destination: str, source: str | None, expected: bool
) -> None:
    """Rules 1 and 2 of RFC 6724 section 6."""
    assert has_way(destination, {destination: source}.get) is expected


def test_the_system_tells_the_way_and_sends_nothing() -> None:
    """To itself every machine finds one; to what is no address, none does."""
    assert source_for("127.0.0.1") == "127.0.0.1"
    assert source_for("fe80::1") is None  # of which link?
