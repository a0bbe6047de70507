import socket
from pathlib import Path

import pytest

from dnssd.deadline import Deadline
from dnssd.errors import DeadlineExceeded, MalformedName, UsageError
from dnssd.hosts import HostFacts, detect, plain
from dnssd.hosts.imds import IPV4, IPV6, Settings
from dnssd.hosts.labels import host_label, machine_digest

DISABLED = {"AWS_EC2_METADATA_DISABLED": "true"}


def machine(root: Path, **files: str) -> Path:
    """A root directory with these files; `__` in a keyword is a slash."""
    for path, text in files.items():
        file = root / path.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def route(ipv4: str | None, ipv6: str | None) -> plain.RouteAddress:
    """Default routes that leave from these addresses."""
    return {socket.AF_INET: ipv4, socket.AF_INET6: ipv6}.get


def test_a_plain_machine(tmp_path: Path) -> None:
    """Its label from its host name, its addresses from its routes, its owner from its ID."""
    root = machine(tmp_path, **{"etc__machine-id": "0123456789abcdef0123456789abcdef\n"})

    facts = plain.facts(
        {},
        Deadline(0),
        root,
        hostname=lambda: "Web-1.Example.com",
        route_address=route("10.0.0.5", "2a00::5"),
    )

    assert facts.label == "Web-1"
    assert facts.private == ("10.0.0.5", "2a00::5")
    assert facts.public == ("2a00::5",)
    assert facts.owner == "host/b430390001db51f1b2d81be682520407/web-1.example.com"
    assert facts.former_owners == ("host/0123456789abcdef0123456789abcdef/web-1.example.com",)
    assert "host name" in facts.source
    assert (facts.cloud, facts.region, facts.zone) == ("plain", None, None)


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "addresses"),
    [
        ("10.0.0.5", None, ("10.0.0.5",)),
        (None, "fd00::5", ("fd00::5",)),
        (None, None, ()),
        ("127.0.0.1", "::1", ()),
        ("169.254.7.7", "fe80::1%eth0", ()),
        ("0.0.0.0", "::", ()),  # noqa: S104 (nothing listens there)
    ],
)
def test_only_addresses_that_others_reach_count(
    tmp_path: Path, ipv4: str | None, ipv6: str | None, addresses: tuple[str, ...]
) -> None:
    """Loopback and link-local ones are none; without a default route there is none."""
    facts = plain.facts(
        {}, Deadline(0), tmp_path, hostname=lambda: "h", route_address=route(ipv4, ipv6)
    )

    assert facts.private == addresses


@pytest.mark.parametrize(
    ("files", "machine_id"),
    [
        ({}, "-"),
        ({"etc__machine-id": ""}, "-"),
        ({"etc__machine-id": "uninitialized\n"}, "-"),
        ({"etc__machine-id": "é"}, "-"),
        ({"etc__machine-id": "ABC/../x\n"}, "-"),
        ({"etc__machine-id": "", "var__lib__dbus__machine-id": "ABC1\n"}, "abc1"),
    ],
)
def test_a_machine_without_an_id(tmp_path: Path, files: dict[str, str], machine_id: str) -> None:
    """Its host name alone tells it then; no file's content breaks the owner's form.

    The ID itself stays on the machine: what is public is a digest of it (machine-id(5)).
    """
    root = machine(tmp_path, **files)
    facts = plain.facts(
        {}, Deadline(0), root, hostname=lambda: "h", route_address=route(None, None)
    )

    shown = "-" if machine_id == "-" else machine_digest(machine_id.upper())
    assert facts.owner == f"host/{shown}/h"
    assert machine_id == "-" or machine_id not in facts.owner.lower()
    assert facts.former_owners == (() if machine_id == "-" else (f"host/{machine_id}/h",))


@pytest.mark.parametrize(
    ("name", "place", "label"),
    [
        ("web-0", "", "web-0"),
        ("web-0", "a/b", "web-0-96402590"),
        ("web-0", "a/c", "web-0-14a236af"),
        ("my.dotted.pod-0", "", "my-dotted-pod-0-14e1906b"),
        ("x" * 57, "", "x" * 57),
        ("x" * 58, "", "x" * 48 + "-860f23b9"),
        ("...", "", "1d3080b6"),
    ],
)
def test_a_label_is_made_of_any_name(name: str, place: str, label: str) -> None:
    """Readable where it can be, never longer than a label may be, never that of another name."""
    assert host_label(name, place) == label


def test_finding_the_route_sends_nothing_and_never_fails() -> None:
    """An address or none, on any machine."""
    for family in (socket.AF_INET, socket.AF_INET6):
        address = plain.address_of_route(family)
        assert address is None or (":" in address) == (family == socket.AF_INET6)


@pytest.mark.parametrize("label", ["ü", "a.b", "", "x" * 58, "-a", "localhost"])
def test_a_host_may_be_given_another_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    """A host name that is no label is no error then."""
    odd = HostFacts(label, ("10.0.0.5",), (), "host/-/odd", "test of odd names")
    monkeypatch.setattr(plain, "facts", lambda environ, deadline, root: odd)

    assert detect(DISABLED, Deadline(1), label="web", root=tmp_path).label == "web"
    with pytest.raises(MalformedName, match=r"^host .*; it is from the test of odd names: give --"):
        detect(DISABLED, Deadline(1), root=tmp_path)


def test_a_given_label_is_checked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked for the sake of a label that cannot be used."""
    monkeypatch.delattr(plain, "facts")

    for label in ("x" * 58, "", "a.b"):
        with pytest.raises(MalformedName, match="host"):
            detect(DISABLED, Deadline(1), label=label, root=tmp_path, cloud="ecs")


def test_an_unknown_cloud_is_refused(tmp_path: Path) -> None:
    """The error lists those that are known."""
    with pytest.raises(UsageError, match=r"'aws': not known; use one of ec2, gce, .*, plain"):
        detect(DISABLED, Deadline(1), cloud="aws", root=tmp_path)


@pytest.mark.parametrize(
    ("environ", "settings"),
    [
        ({}, Settings((IPV4, IPV6), 2.0, None)),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv4"}, Settings((IPV4,))),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "ipv6"}, Settings((IPV6,))),
        (
            {
                "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "ipv6",
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:80/",
            },
            Settings(("http://127.0.0.1:80",)),
        ),
        (
            {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://[fd00::1]"},
            Settings(("http://[fd00::1]",)),
        ),
        (
            {"AWS_METADATA_SERVICE_TIMEOUT": "0.5", "AWS_METADATA_SERVICE_NUM_ATTEMPTS": "3"},
            Settings((IPV4, IPV6), 0.5, 3),
        ),
    ],
)
def test_settings_come_from_the_variables_of_the_aws_sdks(
    environ: dict[str, str], settings: Settings
) -> None:
    """An endpoint wins over a mode; two seconds and any number of tries by default."""
    assert Settings.from_environ(environ) == settings


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv5"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "127.0.0.1:80"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "file:///etc/passwd"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://h:x"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://h:0"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://[::1"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://h/?q"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://h/a b"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://h/\u00fc"),
        ("AWS_EC2_METADATA_DISABLED", "TRUE"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://{'h' * 64}"),
        ("AWS_METADATA_SERVICE_TIMEOUT", "soon"),
        ("AWS_METADATA_SERVICE_TIMEOUT", "0"),
        ("AWS_METADATA_SERVICE_TIMEOUT", "nan"),
        ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "1.5"),
        ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "-1"),
    ],
)
def test_a_malformed_variable_is_named(variable: str, text: str) -> None:
    """The message says which one to correct."""
    with pytest.raises(UsageError, match=variable):
        Settings.from_environ({variable: text})


def test_a_deadline_is_told_as_people_would() -> None:
    """What is left of a whole number of seconds is not: some of it has gone by."""
    deadline = Deadline(4.99999, monotonic=lambda: 0, sleep=lambda seconds: None)

    with pytest.raises(DeadlineExceeded, match="the deadline of 5 s has passed"):
        deadline.pause(5, "no answer")
