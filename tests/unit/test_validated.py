"""What a validating name server says of its answers (AD) is told, and may be insisted on."""

from pathlib import Path

import pytest

from dnssd.errors import Unavailable
from dnssd.resolver.cache import CachePolicy
from dnssd.resolver.disk import SnapshotFiles
from dnssd.resolver.engine import Engine
from dnssd.resolver.validated import ValidatedOnly
from dnssd.services import parse_service_name
from kit.simnet import WEB
from kit.simresolver import SimResolver, hosts_of

TARGET = "h2.example.com."


def of_server(
    *, unvalidated: str = "", additional: bool = False, insists: bool = False
) -> SimResolver:
    """A resolver of a server that validates all but a name."""
    sim = SimResolver(hosts_of(range(1, 4)), additional=additional)
    sim.network.validated = lambda name: name != unvalidated
    if insists:
        sim.engine = Engine(sim.loop, ValidatedOnly(sim.client), sim.cache, rng=sim.rng)
    return sim


@pytest.mark.parametrize("unvalidated", ["", WEB, TARGET])
def test_a_snapshot_tells_whether_all_of_it_is_validated(unvalidated: str) -> None:
    """One RRset that is not is enough."""
    sim = of_server(unvalidated=unvalidated)

    assert sim.lookup(WEB).validated == (not unvalidated)


def test_addresses_that_came_along_are_not_validated() -> None:
    """AD is about the answer (RFC 4035 section 3.2.3): who insists asks for them."""
    assert not of_server(additional=True).lookup(WEB).validated

    sim = of_server(additional=True, insists=True)
    assert sim.lookup(WEB).validated
    assert sim.network.asked[TARGET, "A"] == 1


def test_who_insists_takes_no_other_answer() -> None:
    """What is not validated counts as not answered; the rest is used."""
    with pytest.raises(Unavailable, match="not validated"):
        of_server(unvalidated=WEB, insists=True).lookup(WEB)

    snapshot = of_server(unvalidated=TARGET, insists=True).lookup(WEB)
    assert snapshot.validated
    assert [e.target for e in snapshot.endpoints if not e.addresses] == [TARGET]


@pytest.mark.parametrize("unvalidated", ["", WEB])
def test_what_an_earlier_run_has_kept_is_held_to_the_same(tmp_path: Path, unvalidated: str) -> None:
    """Who insists takes no snapshot from disk that was not validated."""
    sim, asked = of_server(unvalidated=unvalidated), parse_service_name(WEB)
    SnapshotFiles(tmp_path, CachePolicy()).save(asked, sim.lookup(WEB), sim.now)

    found = SnapshotFiles(tmp_path, CachePolicy(), validated=True).load(asked, sim.now)

    assert (found is not None and found.validated) == (not unvalidated)
