"""Every provider of zones in turn, for suites that must hold for all of them alike."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack

import pytest

from dnssd import open_zone
from dnssd.sandbox.sandbox import Sandbox
from dnssd.zones.base import Zone
from dnssd.zones.memory import MemoryZone
from dnssd.zones.route53.text import LIMITS
from kit.cloudflare import Cloudflare
from kit.invariants import ORIGIN
from kit.primaries import Primary, bind, knot, powerdns
from kit.servers import needs

Opener = Callable[[], Zone]
STARTS: Mapping[str, Callable[[], AbstractContextManager[Primary]]] = {
    "bind": bind,
    "knot": knot,
    "powerdns": powerdns,
}

LISTING = ("memory", "merging memory", "route53")  # whoever lists every name below another
PROGRAMS = {"bind": "named", "knot": "knotd", "powerdns": "pdns_server"}
SERVERS = [pytest.param(name, marks=needs(program)) for name, program in PROGRAMS.items()]

listing = pytest.mark.parametrize("opener", LISTING, indirect=True)
any_name = pytest.mark.parametrize(  # over PowerDNS 4.7 some make SQLite's backend give up
    "opener", [*LISTING, *SERVERS[:2]], indirect=True
)
merging = pytest.mark.parametrize(
    "opener", ["merging memory", *SERVERS, "cloudflare"], indirect=True
)


@pytest.fixture(scope="module")
def primaries() -> Iterator[Callable[[str], Primary]]:
    """The servers that take updates, each started when it is first asked for."""
    with ExitStack() as stack:
        running: dict[str, Primary] = {}

        def primary(name: str) -> Primary:
            if name not in running:
                running[name] = stack.enter_context(STARTS[name]())
            running[name].clear()
            return running[name]

        yield primary


@pytest.fixture
def cloudflare() -> Iterator[Cloudflare]:
    """The double of Cloudflare's API, with an empty zone `example.test`."""
    with Cloudflare(serve=["example.test"]) as double:
        yield double


@pytest.fixture(params=[*LISTING, *SERVERS, "cloudflare"])
def opener(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """Opens an empty zone `example.test`, of each provider in turn; each time the same one."""
    name: str = request.param
    if "memory" in name:
        zone = MemoryZone(ORIGIN, merges=name != "memory", limits=LIMITS)
        return lambda: zone
    if name == "route53":
        sandbox: Sandbox = request.getfixturevalue("sandbox")
        for key, value in sandbox.environment().items():
            monkeypatch.setenv(key, value)
        return lambda: open_zone(f"example.test,id={sandbox.zone_id}")
    if name == "cloudflare":
        double = request.getfixturevalue("cloudflare")
        for key, value in double.environment().items():
            monkeypatch.setenv(key, value)
        return lambda: open_zone(f"cloudflare:example.test,id={double.zone_id}")
    primary = request.getfixturevalue("primaries")(name)
    return lambda: open_zone(primary.zone_address)


@pytest.fixture
def zone(opener: Opener) -> Zone:
    """That zone, opened."""
    return opener()
