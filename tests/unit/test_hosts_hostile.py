"""What metadata says is checked: no shape of it breaks a host, or moves a cursor."""

import functools
import ipaddress
import json
from collections.abc import Callable
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dnssd.errors import Unavailable, UsageError
from dnssd.hosts import HostFacts, azure, ec2, ecs, gce, kubernetes, metadata, openstack
from dnssd.hosts.addresses import is_public, sides, usable
from dnssd.hosts.document import Document
from dnssd.hosts.metadata import Answer
from kit.clouds import ARN, Clock

KEYS = [
    "accountId",
    "region",
    "instanceId",
    "availabilityZone",
    "ip",
    "ipv6s",
    "accessConfigs",
    "externalIp",
    "compute",
    "vmId",
    "location",
    "subscriptionId",
    "zone",
    "network",
    "interface",
    "ipv4",
    "ipv6",
    "ipAddress",
    "privateIpAddress",
    "publicIpAddress",
    "loadbalancer",
    "publicIpAddresses",
    "frontendIpAddress",
    "uuid",
    "project_id",
    "networks",
    "ip_address",
    "availability_zone",
    "TaskARN",
    "AvailabilityZone",
    "Containers",
    "Networks",
    "NetworkMode",
    "IPv4Addresses",
    "IPv6Addresses",
]
TEXTS = st.text(max_size=9) | st.sampled_from(
    [
        "i-0abc",
        "eu-west-1",
        "10.0.0.5",
        "2600::5",
        "fe80::1%x",
        "awsvpc",
        "host",
        ARN,
        "\x1b[2J",
        "",
    ]
)
SCALARS = TEXTS | st.none() | st.booleans() | st.integers() | st.floats()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=9)
    ),
    max_leaves=25,
)
IDENTITY = {
    "accountId": "1",
    "region": "eu-west-1",
    "instanceId": "i-0",
    "uuid": "u-1",
    "TaskARN": ARN,
    "compute": {"vmId": "v", "location": "l", "subscriptionId": "s"},
}


def no_route(family: object) -> None:
    """A machine without a default route."""


ASKERS: list[Callable[..., HostFacts]] = [
    ec2.facts,
    gce.facts,
    azure.facts,
    functools.partial(ecs.facts, route_address=no_route),
    functools.partial(openstack.facts, route_address=no_route, at=("http://127.0.0.1:1",)),
]


def answering(body: str) -> Callable[..., Answer]:
    """A service that gives one answer to everything."""
    return lambda *request: Answer(200, {"metadata-flavor": "Google"}, body)


def is_sound(facts: HostFacts) -> bool:
    """Whether all of it may be printed, and its addresses are some."""
    texts = (facts.label, facts.owner, facts.region or "", facts.zone or "", facts.source)
    for address in (*facts.private, *facts.public):
        ipaddress.ip_address(address)
    return all(map(str.isprintable, texts)) and len(facts.private) <= 2 >= len(facts.public)


def asked(body: str) -> list[HostFacts | str]:
    """What each cloud makes of the same answer: facts, or an error for people."""
    environ = {"ECS_CONTAINER_METADATA_URI_V4": "http://127.0.0.1:1/v4"}
    found: list[HostFacts | str] = []
    with patch.object(metadata, "exchange", answering(body)):
        for ask in ASKERS:
            try:
                found.append(ask(environ, Clock().deadline(0.001)))
            except Unavailable as error:
                found.append(str(error))
    return found


@given(VALUES, st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5))
@example({}, {})
@example(IDENTITY, {"Containers": [{"Networks": [{"NetworkMode": []}]}]})
@example(IDENTITY, {"Containers": [{"Networks": [{"NetworkMode": "awsvpc"}, 1]}], "networks": {}})
def test_no_json_breaks_a_cloud(value: object, more: dict[str, object]) -> None:
    """There are facts that may be printed, or one line that says what is missing."""
    for body in (value, IDENTITY | more):
        for found in asked(json.dumps(body)):
            if isinstance(found, str):
                assert found.isprintable()
                assert found.startswith("instance metadata")
            else:
                assert is_sound(found)


@given(st.text(max_size=50))
@example("[" * 100_000)
@example("1" * 100_000)
@example('{"instanceId": "\\ud800"}')
def test_no_text_breaks_a_cloud(body: str) -> None:
    """The same, for what is no JSON."""
    for found in asked(body):
        assert found.isprintable() if isinstance(found, str) else is_sound(found)


@given(st.dictionaries(st.sampled_from(["POD_NAME", "POD_IP", "POD_IPS", "POD_ZONE"]), TEXTS))
def test_no_environment_breaks_a_pod(environ: dict[str, str]) -> None:
    """There are facts, or the variable that is wrong is named."""
    found: HostFacts | UsageError
    try:
        found = kubernetes.facts(
            environ, Clock().deadline(), hostname=lambda: "web-0", route_address=no_route
        )
    except UsageError as error:
        found = error
    if isinstance(found, UsageError):
        assert str(found).isprintable()
        assert str(found).startswith("POD_")
    else:
        assert is_sound(found)


@given(st.lists(st.ip_addresses().map(str)))
def test_sides_of_any_addresses(addresses: list[str]) -> None:
    """At most one of a family each; what is public is reached, and private ones come first."""
    private, public = sides(map(usable, addresses))

    for side in (private, public):
        assert [":" in address for address in side] in ([], [False], [True], [False, True])
    assert all(map(is_public, public))
    inner = [a for a in addresses if ":" not in a and usable(a) and not is_public(a)]
    assert not inner or private[0] == inner[0]


@pytest.mark.parametrize(
    ("addresses", "private", "public"),
    [
        ([], (), ()),
        ([None, "10.0.0.5", "10.0.0.6"], ("10.0.0.5",), ()),
        (["8.8.8.8", "10.0.0.5"], ("10.0.0.5",), ("8.8.8.8",)),
        (["8.8.8.8", "8.8.4.4"], ("8.8.8.8",), ("8.8.8.8",)),
        (["2600::1", "fd00::1"], ("2600::1",), ("2600::1",)),
        (["fd00::1"], ("fd00::1",), ()),
        (["fd00::1", "2600::1", "100.64.0.1"], ("100.64.0.1", "fd00::1"), ("2600::1",)),
    ],
)
def test_sides(
    addresses: list[str | None], private: tuple[str, ...], public: tuple[str, ...]
) -> None:
    """A host with nothing but public addresses is reached at these from inside, too."""
    assert sides(addresses) == (private, public)


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1", "::1", "169.254.1.1", "fe80::1%eth0", "0.0.0.0", "ff02::1", "::ffff:10.0.0.5"],  # noqa: S104
)
def test_addresses_of_no_use_to_others(text: str) -> None:
    """Loopback, link-local, unspecified, multicast and mapped ones."""
    assert usable(text) is None


def test_an_address_has_no_scope() -> None:
    """What may stand behind a percent sign means nothing elsewhere, or is a trick."""
    assert usable(" 2600::1%\x1b[2J\n") == "2600::1"


def test_a_document_is_walked_without_trust() -> None:
    """Whatever is on the way, there is a value or none."""
    document = Document("test", {"a": [{"b": "C:1.x"}], "s": "text", "z": "a\nb"})

    assert document.at("a", 0, "b") == "C:1.x"
    assert document.identifier("a", 0, "b") == "c:1.x"
    assert [document.at(*path) for path in (("a", 1), ("a", "b"), ("s", 0), ("x", "y"))] == [
        None
    ] * 4
    assert document.below("s") == []
    assert document.text("z") is None
    assert document.text("s") == "text"
    with pytest.raises(Unavailable, match="instance metadata: no z in the test; try again"):
        document.identifier("z")
    with pytest.raises(Unavailable, match="instance metadata: s is not an address"):
        document.address("s")
