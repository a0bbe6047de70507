"""What a resolver says about itself."""

import logging

import pytest

from dnssd.resolver.stats import PERIOD
from kit.simnet import SERVICE, WEB, honest, silent
from kit.simresolver import SimResolver, hosts_of


def test_stats_tell_what_is_known_and_what_was_done(caplog: pytest.LogCaptureFixture) -> None:
    """In service, and in an outage; the log says it too, once a minute."""
    caplog.set_level(logging.DEBUG, "dnssd.resolver.stats")
    sim = SimResolver(hosts_of(range(1, 4)))
    sim.watch(WEB)
    sim.watch(SERVICE)
    sim.advance(30)

    stats = sim.statistics.read(sim.now)
    assert (stats.names, stats.fresh, stats.stale, stats.seconds_stale) == (2, 2, 0, 0.0)
    assert (stats.refreshes_failed, stats.repeats, stats.ejections) == (0, 0, 0)
    assert stats.dark_servers == 0
    assert stats.questions == stats.packets == sim.questions

    sim.network.fault = silent
    sim.advance(600)

    stats = sim.statistics.read(sim.now)
    assert (stats.names, stats.fresh, stats.stale) == (2, 0, 2)
    assert 500 < stats.seconds_stale < 600
    assert stats.refreshes_failed > 10
    assert stats.packets == sim.questions
    assert stats.repeats == stats.packets - stats.questions > 0
    lines = [r.getMessage() for r in caplog.records if r.name == "dnssd.resolver.stats"]
    assert 600 / PERIOD / 2 < len(lines) <= 1 + 630 / PERIOD
    assert lines[-1].startswith("names=2 fresh=0 stale=2 seconds_stale=")
    assert stats.dark_servers == 1
    assert lines[-1].endswith("ejections=0 dark_servers=1")

    sim.network.fault = honest
    sim.advance(60)
    assert sim.statistics.read(sim.now).dark_servers == 0
