"""Services as other programs' configuration: what is written, and that nothing of DNS gets in."""

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.errors import Unavailable
from dnssd.export import files, haproxy
from dnssd.export.formats import FORMATS
from dnssd.export.services import Service, weights
from dnssd.resolver.snapshot import Endpoint
from dnssd.services import parse_service_name
from kit.exported import GOLDEN, HOSTILE, SERVICES


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_written(form: str) -> None:
    """Each format, to the letter; `test_export_command` shows it to the programs themselves."""
    services = SERVICES[:1] if form == "envoy-eds" else SERVICES
    assert FORMATS[form](services) == GOLDEN[form].read_text()


@pytest.mark.parametrize("form", FORMATS)
def test_names_of_dns_do_not_get_into_a_configuration(form: str) -> None:
    """Whatever targets and instances hold: it is text in JSON, or not there at all."""
    asked = parse_service_name("_http._tcp.example.test")
    bad = Endpoint(HOSTILE, 80, 0, 1, ("10.0.0.1",), HOSTILE, "_http._tcp")
    text = FORMATS[form]([Service.of(asked, [bad])])

    assert max(map(len, text.splitlines())) < 200 or form == "prometheus"
    assert re.search(r"evil|[$`%\x00\x1b]", text) is None or form == "prometheus"
    if form == "prometheus":
        ((group,),) = (json.loads(text),)
        assert text.isascii()
        assert group["labels"]["__meta_dnssd_target"] == HOSTILE


def test_a_name_that_was_asked_for_is_a_safe_label() -> None:
    """As it is where that is possible; otherwise no two names have the same one."""
    names = ["web._http._tcp.example.com", "My Web._http._tcp.example.com"]
    names += ["My\\.Web._http._tcp.example.com", "Büro\\010}\"'._http._tcp.example.com"]
    labels = [Service(parse_service_name(name)).label for name in names]

    assert labels[0] == names[0]
    assert len(set(labels)) == len(labels)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", label) for label in labels)


def test_who_is_a_server() -> None:
    """Each address of one family once, by the best priority; whoever has none is left out."""
    asked = parse_service_name("_http._tcp.example.test")
    endpoints = [
        Endpoint("b.", 80, 1, 10, ("10.0.0.2", "2001:db8::2")),
        Endpoint("a.", 80, 1, 9, ("10.0.0.1", "10.0.0.2", "10.0.0.3")),
        Endpoint("c.", 80, 0, 5, ("10.0.0.2",)),
        Endpoint("d.", 80, 0, 5, ()),
    ]
    servers = Service.of(asked, endpoints).servers

    assert [(s.priority, s.authority, s.weight) for s in servers] == [
        (0, "10.0.0.2:80", 5.0),
        (1, "10.0.0.1:80", 3.0),
        (1, "10.0.0.3:80", 3.0),
    ]


@pytest.mark.parametrize(
    ("given_weights", "most", "expected"),
    [
        ([100, 50], 256, [100, 50]),
        ([1000, 500], 256, [256, 128]),
        ([0, 0], 256, [1, 1]),
        ([0, 5], 256, [1, 256]),
        ([65535, 1], 256, [256, 1]),
        ([65535, 0], 65535, [65535, 1]),
    ],
)
def test_weights(given_weights: list[int], most: int, expected: list[int]) -> None:
    """As they are where they fit, else scaled; zero is the least that still works."""
    assert _weights(given_weights, most) == expected


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=20))
def test_ratios_of_weights_are_kept(given_weights: list[int]) -> None:
    """To half a step of 256, and within what HAProxy takes."""
    found = _weights(given_weights, 256)
    top = max(given_weights)

    assert all(1 <= weight <= 256 for weight in found)
    if top > 256:
        for weight, share in zip(found, given_weights, strict=True):
            assert abs(weight - 256 * share / top) <= 1


def _weights(given_weights: list[int], most: int) -> list[int]:
    endpoints = [Endpoint("h.", n, 0, w, ("::1",)) for n, w in enumerate(given_weights)]
    service = Service.of(parse_service_name("_http._tcp.example.test"), endpoints)
    return weights(service.servers, most)


def test_more_tiers_than_haproxy_is_to_have() -> None:
    """The last of them takes in the others: what DNS says makes no thousand backends."""
    endpoints = [Endpoint("h.", 80, n, 1, (f"10.0.0.{n}",)) for n in range(20)]
    service = Service.of(parse_service_name("_http._tcp.example.test"), endpoints)

    backends = list(haproxy.backends([service]))

    assert [len(backend.slots) for backend in backends] == [2, 1, 1, 1, 1, 1, 13]
    assert backends[-1].name == "_http._tcp.example.test-8"


def test_a_file_of_backends_is_read_again() -> None:
    """What is written is what is read, drains and free slots too."""
    slots = (
        haproxy.Slot("dnssd-1", False, "10.0.0.1", 80, 7, "ready"),
        haproxy.Slot("dnssd-b1", True, "2001:db8::1", 81, 1, "drain"),
        haproxy.Slot("dnssd-2"),
    )
    text = haproxy.render([haproxy.Backend("x", True, slots), haproxy.Backend("y-3", False, ())])

    assert haproxy.parse(text) == {"x": slots, "y-3": ()}


def test_a_file_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    """Unchanged it is not touched, refused it is what it was; its mode and links stay."""
    file, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to(file)
    runs: list[str] = []

    def refuse() -> None:
        runs.append(file.read_text())
        raise Unavailable("no")

    with pytest.raises(Unavailable):
        files.update(link, "new", refuse)
    assert not file.exists()
    assert files.update(link, "one", lambda: runs.append("one"))
    file.chmod(0o640)
    owner = (0, 12) if os.geteuid() == 0 else (os.geteuid(), file.stat().st_gid)
    os.chown(file, *owner)
    inode = file.stat().st_ino
    assert not files.update(link, "one", refuse)
    assert file.stat().st_ino == inode
    with pytest.raises(Unavailable):
        files.update(link, "two", refuse)
    assert (file.read_text(), file.stat().st_mode & 0o777, link.is_symlink()) == (
        "one",
        0o640,
        True,
    )
    assert files.update(link, "three", lambda: None)
    assert (file.stat().st_uid, file.stat().st_gid, file.stat().st_mode & 0o777) == (*owner, 0o640)
    assert runs == ["new", "one", "two"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


@pytest.mark.parametrize("path", ["/proc/dnssd.cfg", "/dev/null/dnssd.cfg", "/nonexistent/x"])
def test_a_folder_in_which_nothing_can_be_written(path: str) -> None:
    """It is told in one line."""
    with pytest.raises(Unavailable, match=rf"^{path}: not (read|written): .*; check"):
        files.update(Path(path), "text", lambda: None)
