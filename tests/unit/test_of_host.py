"""What a host asks for by what it knows about itself."""

from dataclasses import replace

import pytest

from dnssd import Registration, hosts
from dnssd.errors import UsageError
from dnssd.hosts import HostFacts
from dnssd.names import Name
from dnssd.registration.of_host import departure_of, registration_of

FACTS = HostFacts(
    label="i-0abc",
    private=("10.0.0.5", "2001:db8::5"),
    public=("192.0.2.7", "2001:db8::5"),
    owner="ec2/123456789012/us-east-1/i-0abc",
    source="EC2 instance metadata",
    former_owners=("ec2/i-0abc",),
)


def test_a_host_registers_under_what_it_knows() -> None:
    """Label, private addresses and owner; all else as it was asked for."""
    assert registration_of(FACTS, "http", port=80, weight=5) == Registration(
        service="http",
        port=80,
        host="i-0abc",
        addresses=["10.0.0.5", "2001:db8::5"],
        owner=FACTS.owner,
        former_owners=FACTS.former_owners,
        weight=5,
    )


def test_addresses_are_chosen_by_words() -> None:
    """Each once, in the order of the choice."""
    chosen = registration_of(FACTS, "http", port=80, addresses=("public", "10.0.0.9", "private"))

    assert chosen.addresses == ("192.0.2.7", "2001:db8::5", "10.0.0.9", "10.0.0.5")
    assert registration_of(FACTS, "http", port=80, target="lb.example.com").addresses == ()


def test_an_address_that_is_not_known_is_refused() -> None:
    """The message says who does not know it."""
    with pytest.raises(UsageError, match="address public: EC2 instance metadata knows none"):
        registration_of(replace(FACTS, public=()), "http", port=80, addresses=("public",))


def test_what_a_host_joined_it_leaves() -> None:
    """The departure is of the same host, instance and owner."""
    origin = Name.parse("example.com")
    registration = registration_of(FACTS, "http", instance="web", port=80)

    departure = departure_of(FACTS, origin, "http", instance="web", port=80)

    assert departure == registration.departure_in(origin)
    assert departure.owns("ec2/i-0abc")  # what an earlier version wrote is its own


def test_a_program_is_the_host_that_the_commands_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Registration.here` asks as `dnssd join` does: the same label, addresses and owner."""
    asked: list[object] = []

    def detect(*_: object, **options: object) -> HostFacts:
        asked.append(options)
        return FACTS

    monkeypatch.setattr(hosts, "detect", detect)

    here = Registration.here("http", port=80, instance="web", addresses=["public"], cloud="ec2")

    assert asked == [{"label": None, "cloud": "ec2"}]
    assert (here.host, here.owner, here.instance) == ("i-0abc", FACTS.owner, "web")
    assert here.addresses == ("192.0.2.7", "2001:db8::5")
