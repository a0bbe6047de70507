"""Snapshots on disk: whole or not at all, and whatever else may lie in their place."""

import errno
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.records import Address, Ptr, Srv, Txt
from dnssd.resolver.cache import CachePolicy
from dnssd.resolver.disk import AGAIN, LARGEST, VERSION, SnapshotFiles
from dnssd.resolver.known import CachedRRset, Known
from dnssd.resolver.snapshot import build_snapshot
from dnssd.services import parse_service_name
from kit.simnet import SERVICE, WEB, silent
from kit.simresolver import SimResolver, hosts_of, kinds

ASKED = parse_service_name(SERVICE)
LIMITS = CachePolicy(max_stale=3600)
NOW, WALL = 500.0, 1_700_000_000.0


class Clock:
    """The time of day, in seconds since the epoch."""

    def __init__(self) -> None:
        self.now = WALL

    def __call__(self) -> float:
        """What it reads."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A time of day that stands still."""
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> SnapshotFiles:
    """One that has a folder to itself."""
    return SnapshotFiles(tmp_path / "cache", LIMITS, clock)


def findings(*targets: str, ttl: float = 60.0, instance: bytes = b"web") -> Known:
    """One instance that leads to these targets."""
    name = ASKED.name.child(instance)
    srvs = tuple(Srv(0, 1, 80, Name.parse(target)) for target in targets)
    return {
        (ASKED.name.key, "PTR"): CachedRRset((Ptr(name),), NOW + ttl),
        (name.key, "SRV"): CachedRRset(srvs, NOW + ttl),
        (name.key, "TXT"): CachedRRset((Txt((b"a=\xff", b"b")),), NOW + ttl),
        (Name.parse("a.").key, "A"): CachedRRset((Address.parse("10.0.0.1"),), NOW + ttl),
        (Name.parse("a.").key, "AAAA"): CachedRRset((Address.parse("2001:db8::1"),), NOW + ttl),
    }


ONE = build_snapshot(ASKED, findings("a."))
TWO = build_snapshot(ASKED, findings("a.", "b."))


def path_of(store: SnapshotFiles) -> Path:
    """The only file in its folder."""
    (path,) = store._folder.iterdir()
    return path


def test_what_is_saved_comes_back_stale(store: SnapshotFiles, clock: Clock) -> None:
    """It may be outdated by now; it is as old as it is."""
    store.save(ASKED, ONE, NOW)
    clock.now += 100

    assert store.load(ASKED, 7.0) == replace(ONE, status="stale", expires_at=7.0 - 40)


LABELS = st.binary(min_size=1, max_size=63)
NAMES = st.lists(LABELS, min_size=1, max_size=3).map(lambda labels: Name(tuple(labels)))
NUMBERS = st.integers(0, 65535)
SRVS = st.lists(st.builds(Srv, NUMBERS, NUMBERS, NUMBERS, NAMES), unique=True, min_size=1)
TXTS = st.builds(Txt, st.lists(st.binary(max_size=255), max_size=3).map(tuple))


def answers(instances: dict[bytes, tuple[list[Srv], Txt]]) -> Known:
    """What such instances make name servers say."""
    names = {label: ASKED.name.child(label) for label in instances}
    found = {(ASKED.name.key, "PTR"): CachedRRset(tuple(map(Ptr, names.values())), NOW + 60)}
    for label, (srvs, txt) in instances.items():
        found[names[label].key, "SRV"] = CachedRRset(tuple(srvs), NOW + 60)
        found[names[label].key, "TXT"] = CachedRRset((txt,), NOW + 60)
    return found


ANSWERS = st.dictionaries(LABELS, st.tuples(SRVS, TXTS), min_size=1, max_size=4).map(answers)


@given(ANSWERS)
def test_any_snapshot_comes_back_as_it_was(found: Known) -> None:
    """Whatever bytes there are in its names and its TXT data."""
    snapshot = build_snapshot(ASKED, found)
    with TemporaryDirectory() as folder:
        store = SnapshotFiles(Path(folder), LIMITS, lambda: WALL)

        store.save(ASKED, snapshot, NOW)

        assert store.load(ASKED, NOW) == replace(snapshot, status="stale", expires_at=NOW)


def test_it_is_for_this_user_alone(store: SnapshotFiles) -> None:
    """Others might plant addresses there."""
    store.save(ASKED, ONE, NOW)

    assert store._folder.stat().st_mode & 0o777 == 0o700
    assert path_of(store).stat().st_mode & 0o077 == 0


def test_what_is_too_old_is_not_there(store: SnapshotFiles, clock: Clock) -> None:
    """`max_stale` holds over restarts."""
    store.save(ASKED, ONE, NOW)
    clock.now += 60 + 3600
    assert store.load(ASKED, NOW)
    clock.now += 1

    assert store.load(ASKED, NOW) is None


def test_a_clock_that_was_put_back_makes_nothing_fresh(store: SnapshotFiles, clock: Clock) -> None:
    """What is read is stale in any case."""
    store.save(ASKED, ONE, NOW)
    clock.now -= 1e6

    snapshot = store.load(ASKED, NOW)

    assert snapshot
    assert (snapshot.status, snapshot.expires_at) == ("stale", NOW)


def test_what_has_not_changed_is_written_seldom(store: SnapshotFiles, clock: Clock) -> None:
    """Each refresh would mean a file each time; now and then its time is renewed."""
    store.save(ASKED, ONE, NOW)
    path_of(store).write_text("spoilt")

    store.save(ASKED, replace(ONE, expires_at=NOW + 100), NOW + AGAIN - 1)
    assert store.load(ASKED, NOW) is None
    store.save(ASKED, ONE, NOW + AGAIN)
    assert store.load(ASKED, NOW)
    store.save(ASKED, TWO, NOW + AGAIN)
    loaded = store.load(ASKED, NOW)
    assert loaded
    assert len(loaded.endpoints) == 2


def test_what_is_gone_is_removed(store: SnapshotFiles) -> None:
    """And removing what is not there is no failure."""
    store.save(ASKED, ONE, NOW)
    store.save(ASKED, None, NOW)
    store.save(ASKED, None, NOW + 2 * AGAIN)

    assert list(store._folder.iterdir()) == []
    assert store.load(ASKED, NOW) is None


def test_names_do_not_lead_out_of_the_folder(store: SnapshotFiles) -> None:
    """A label may be `../../x`."""
    asked = parse_service_name(r"\.\.\047\.\.\047x._http._tcp.example.com.")
    store.save(asked, ONE, NOW)

    assert path_of(store).parent == store._folder


def test_a_name_is_found_in_any_case(store: SnapshotFiles) -> None:
    """DNS does not tell them apart."""
    store.save(ASKED, ONE, NOW)

    assert store.load(parse_service_name(SERVICE.upper()), NOW)


def test_a_file_under_another_name_is_passed_over(store: SnapshotFiles) -> None:
    """One service's hosts must not answer for another's."""
    store.save(ASKED, ONE, NOW)
    other = parse_service_name("_smtp._tcp.example.com.")
    path_of(store).rename(store._path(other))

    assert store.load(other, NOW) is None


def edited(**changes: Any) -> Callable[[dict[str, Any]], object]:
    """Contents with other values at the top."""
    return lambda content: content.update(changes)


def endpoint(at: int, value: Any) -> Callable[[dict[str, Any]], object]:
    """Contents with another value in an endpoint."""

    def edit(content: dict[str, Any]) -> None:
        content["instances"][0]["endpoints"][0][at] = value

    return edit


def instance(**changes: Any) -> Callable[[dict[str, Any]], object]:
    """Contents with other values in an instance."""
    return lambda content: content["instances"][0].update(changes)


@pytest.mark.parametrize(
    "edit",
    [
        edited(version=VERSION + 1),
        edited(version=None),
        edited(name=7),
        edited(name="a..b"),
        edited(expires="soon"),
        edited(expires=float("-inf")),
        edited(expires=10**400),
        edited(expires=None),
        edited(instances=None),
        edited(instances=[7]),
        edited(instances=[]),
        instance(endpoints=[]),
        instance(endpoints=[[]]),
        instance(name=None),
        instance(name="\ud800._http._tcp.example.com."),
        instance(txt=["not base64!"]),
        instance(txt=["A" * 400]),
        instance(txt=7),
        endpoint(0, None),
        endpoint(0, "x" * 64),
        endpoint(1, 65536),
        endpoint(1, -1),
        endpoint(1, float("inf")),
        endpoint(2, "first"),
        endpoint(3, -5),
        endpoint(4, ["\x1b[2J"]),
        endpoint(4, [1]),
        endpoint(4, None),
        endpoint(5, "\x1b[2J"),
        lambda content: content.clear(),
    ],
)
def test_what_is_not_sound_is_not_there(
    store: SnapshotFiles, edit: Callable[[dict[str, Any]], object]
) -> None:
    """Another version, or something that no snapshot holds."""
    store.save(ASKED, ONE, NOW)
    content = json.loads(path_of(store).read_text())
    edit(content)
    path_of(store).write_text(json.dumps(content))

    assert store.load(ASKED, NOW) is None


@pytest.mark.parametrize("expires", [float("nan"), float("inf")])
def test_an_expiry_that_is_no_time_makes_nothing_fresh(
    store: SnapshotFiles, expires: float
) -> None:
    """JSON as Python reads it knows such numbers."""
    store.save(ASKED, ONE, NOW)
    content = json.loads(path_of(store).read_text())
    content["expires"] = expires
    path_of(store).write_text(json.dumps(content))

    loaded = store.load(ASKED, NOW)

    assert loaded is None or (loaded.status, loaded.expires_at) == ("stale", NOW)


@pytest.mark.parametrize(
    "spoilt",
    [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"null", b"[]", b"7", b"9" * 10_000, b" " * LARGEST],
    ids=["empty", "cut", "deep", "bytes", "null", "list", "number", "digits", "large"],
)
def test_a_spoilt_file_is_not_there(store: SnapshotFiles, spoilt: bytes) -> None:
    """Whatever it is."""
    store.save(ASKED, ONE, NOW)
    path_of(store).write_bytes(spoilt)

    assert store.load(ASKED, NOW) is None


@given(st.data())
def test_a_file_with_some_bytes_changed_does_no_harm(data: st.DataObject) -> None:
    """What comes of it is a snapshot that might have been saved, or nothing."""
    with TemporaryDirectory() as folder:
        store = SnapshotFiles(Path(folder), LIMITS, lambda: WALL)
        store.save(ASKED, ONE, NOW)
        content = bytearray(path_of(store).read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(content) - 1))
            content[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
        path_of(store).write_bytes(content)

        loaded = store.load(ASKED, NOW)

        if loaded is not None:
            assert loaded.endpoints
            assert all(0 <= e.port <= 65535 and 0 <= e.weight <= 65535 for e in loaded.endpoints)
            assert all(Address.parse(a) for e in loaded.endpoints for a in e.addresses)


def test_a_folder_that_is_a_file_is_no_obstacle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is kept, and that is told."""
    (tmp_path / "cache").write_text("in the way")
    store = SnapshotFiles(tmp_path / "cache", LIMITS)

    with caplog.at_level(logging.WARNING, "dnssd"):
        store.save(ASKED, ONE, NOW)

    assert store.load(ASKED, NOW) is None
    assert f"what is known of {SERVICE} is not kept" in caplog.text


def test_a_full_disk_is_told_and_leaves_what_there_was(
    store: SnapshotFiles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No half file either; and not told again with each refresh."""
    store.save(ASKED, ONE, NOW)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(json, "dump", full)
    with caplog.at_level(logging.WARNING, "dnssd"):
        store.save(ASKED, TWO, NOW + 1)
        store.save(ASKED, TWO, NOW + 2)

    assert store.load(ASKED, NOW) == replace(ONE, status="stale", expires_at=NOW)
    assert caplog.text.count("No space left on device") == 1
    assert path_of(store).suffix == ".json"


def test_whoever_is_killed_while_writing_leaves_what_there_was(store: SnapshotFiles) -> None:
    """The file is replaced as a whole, at the very end."""
    store.save(ASKED, ONE, NOW)
    program = f"""if True:
        import os, signal
        from pathlib import Path
        from dataclasses import replace
        from dnssd.resolver.cache import CachePolicy
        from dnssd.resolver.disk import SnapshotFiles
        from dnssd.services import parse_service_name
        Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        asked = parse_service_name({SERVICE!r})
        store = SnapshotFiles(Path({str(store._folder)!r}), CachePolicy(), lambda: {WALL})
        snapshot = store.load(asked, 0.0)
        one = snapshot.instances[0]
        store.save(asked, replace(snapshot, instances=(one, one)), 0.0)
    """
    done = subprocess.run([sys.executable, "-c", program], timeout=60)

    assert done.returncode == -9
    assert len(list(store._folder.iterdir())) == 2  # the half one is there, under another name
    assert store.load(ASKED, NOW) == replace(ONE, status="stale", expires_at=NOW)


def test_a_restart_in_an_outage_goes_on_with_what_was_known(tmp_path: Path) -> None:
    """Picks come from disk, stale, as long as `max_stale` allows."""
    records = hosts_of(range(1, 4))
    first = SimResolver(records, saved=SnapshotFiles(tmp_path, LIMITS, lambda: WALL))
    first.lookup(WEB)
    first.engine.close()

    store = SnapshotFiles(tmp_path, LIMITS, lambda: WALL + 1800 + sim.now)
    sim = SimResolver(records, saved=store, limits=LIMITS, fault=silent)
    sim.loop.now = 0.0
    told = sim.watch(WEB)
    assert sim.lookup(WEB).status == "stale"
    assert sim.pick(WEB).addresses
    with pytest.raises(Unavailable):
        sim.lookup(f"other.{SERVICE}")
    sim.advance(1800)
    assert sim.pick(WEB).addresses
    assert kinds(told) == ["added h1", "added h2", "added h3", "stale"]
    sim.advance(120)
    with pytest.raises(Unavailable):
        sim.lookup(WEB)
