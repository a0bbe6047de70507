"""What an agent asks of systemd, and whether it leaves."""

import asyncio
import os
from pathlib import Path

import pytest

from dnssd.agent import systemd
from dnssd.agent.main import is_to_leave
from dnssd.agent.service import LeaveOnExit
from dnssd.agent.systemd import Notifier, own_unit


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/dnssd-agent.service\n", "dnssd-agent.service"),
        ("0::/system.slice/system-dnssd.slice/dnssd@web.service/sub\n", "dnssd@web.service"),
        ("0::/user.slice/user-0.slice/session-1.scope\n", None),
        ("0::/\n", None),
    ],
)
def test_the_own_unit_is_the_control_groups(tmp_path: Path, cgroup: str, unit: str | None) -> None:
    """The innermost service; in a container or a shell there is none."""
    file = tmp_path / "cgroup"
    file.write_text(cgroup)
    assert own_unit(file) == unit
    assert own_unit(tmp_path / "absent") is None


@pytest.mark.parametrize(
    ("when", "job", "state", "leaves"),
    [
        ("always", "restart", "running", False),
        ("always", "try-restart", "running", False),
        ("always", "stop", "running", True),
        ("always", "stop", "stopping", True),
        ("shutdown", "stop", "running", False),
        ("shutdown", "stop", "stopping", True),
        ("never", "stop", "stopping", False),
    ],
)
def test_a_restart_leaves_nothing_and_a_stop_does_what_it_is_to(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: LeaveOnExit,
    job: str,
    state: str,
    leaves: bool,
) -> None:
    """Systemd's list of jobs tells a restart from a stop, and its state a shutdown."""
    systemctl = tmp_path / "systemctl"
    jobs = f"7 other.service restart waiting\n8 dnssd-agent.service {job} running"
    systemctl.write_text(f'#!/bin/sh\n[ "$1" = list-jobs ] && echo "{jobs}" || echo {state}\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(systemd, "own_unit", lambda: "dnssd-agent.service")
    assert asyncio.run(is_to_leave(when, alone=True)) is leaves


@pytest.mark.parametrize(("job", "leaves"), [("restart", False), ("stop", True)])
def test_what_the_unit_has_written_down_needs_no_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str, leaves: bool
) -> None:
    """The agent's own user may not be let near systemd; the unit's ExecStop is root."""
    ending = tmp_path / "ending"
    ending.write_text(f"running\n8 dnssd-agent.service {job} running\n")
    monkeypatch.setattr(systemd, "ENDING", ending)
    monkeypatch.setattr(systemd, "own_unit", lambda: "dnssd-agent.service")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert asyncio.run(is_to_leave("always", alone=True)) is leaves


def test_beside_a_command_a_restart_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ends with it, so nobody serves meanwhile."""
    monkeypatch.setattr(systemd, "own_unit", lambda: pytest.fail("it asks"))
    assert asyncio.run(is_to_leave("always", alone=False))


def test_without_systemd_nothing_is_told() -> None:
    """In a shell or a container; nor where the watchdog is another process's."""
    notifier = Notifier({})
    notifier.tell("READY=1")
    assert notifier.watchdog == 0
    assert Notifier({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}).watchdog == 0
    assert Notifier({"WATCHDOG_USEC": "3000000"}).watchdog == 3
