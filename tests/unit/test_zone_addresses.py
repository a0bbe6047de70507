"""What may stand in a zone address, for each provider."""

from pathlib import Path

import pytest

from dnssd.errors import UsageError
from dnssd.names import Name
from dnssd.zones.address import ZoneAddress
from dnssd.zones.factory import open_zone


def test_an_updatable_server_is_addressed_by_host_port_and_key(tmp_path: Path) -> None:
    """Opening asks nobody: the key file is read, and that is all."""
    key = tmp_path / "key"
    key.write_text("key k { secret c2VjcmV0; };")
    key.chmod(0o600)
    text = f"rfc2136:example.com,server=10.0.0.2+2001:db8::2,port=5353,keyring={key},values=200"
    zone = open_zone(text)
    assert (zone.address, zone.origin) == (text, Name.parse("example.com"))
    assert zone.limits.values == 200
    assert zone.traits.merges


def test_the_addresses_of_a_zone_win() -> None:
    """One word or several addresses; none is said by most."""
    zone = "rfc2136:example.com,server=ns,unsigned=yes"
    assert ZoneAddress.parse(zone).addresses == ()
    assert ZoneAddress.parse(zone).default_address == "private"
    assert ZoneAddress.parse(f"{zone},address=public").addresses == ("public",)
    both = ZoneAddress.parse(f"{zone},address=10.0.0.1+2001:db8::1")
    assert both.addresses == ("10.0.0.1", "2001:db8::1")


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("", "no server; append ,server=HOST"),
        (",server=ns", "no key; append ,keyring=FILE, or ,unsigned=yes"),
        (",server=ns,unsigned=maybe", "unsigned is yes or no"),
        (",server=ns,unsigned=yes,keyring=f", "exclude each other"),
        (",server=ns,unsigned=yes,port=0", "port is a number from 1 to 65535"),
        (",server=ns,unsigned=yes,values=1001", "values is a number from 1 to 1000"),
        (",server=ns,unsigned=yes,id=Z0123456789ABC", "unknown key 'id'; rfc2136 has server"),
        (",server=ns,server=ns", "'server=ns' is not one KEY=VALUE"),
    ],
)
def test_a_wrong_address_of_a_server_is_told(rest: str, said: str) -> None:
    """With the address as it was given, before anything is asked."""
    with pytest.raises(UsageError, match=r"^zone 'rfc2136:example\.com") as caught:
        ZoneAddress.parse(f"rfc2136:example.com{rest}")
    assert said in str(caught.value)


def test_a_key_file_that_is_not_there_is_wrong_usage() -> None:
    """With what the system says."""
    with pytest.raises(UsageError, match="/nowhere/key: No such file"):
        open_zone("rfc2136:example.com,server=ns,keyring=/nowhere/key")
