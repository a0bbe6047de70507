"""What an agent tells systemd, and asks of it (sd_notify(3), systemctl(1))."""

import asyncio
import os
import re
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_RESTARTS = {"restart", "try-restart"}  # types of jobs that start what they stop
ENDING = Path("/run/dnssd-agent.ending")  # what the unit's ExecStop, as root, hears of systemctl
FRESH = 30.0  # seconds that it is about this end
ANSWER = 3.0  # seconds that systemctl may take


class Notifier:
    """Tells the service manager how things are; without one it says nothing.

    Args:
        environ: The process's environment: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        pid = environ.get("WATCHDOG_PID")
        usec = environ.get("WATCHDOG_USEC", "0") if pid in (None, str(os.getpid())) else "0"
        self.watchdog = int(usec) / 1e6 if usec.isdigit() else 0.0
        self._status = ""

    def tell(self, *lines: str) -> None:
        """Send lines such as `READY=1`; who does not listen misses them."""
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.connect(self._address)
            out.send("\n".join(lines).encode())

    def status(self, text: str) -> None:
        """What `systemctl status` shows, told when it changes."""
        if text != self._status:
            self._status = text
            self.tell(f"STATUS={text}")

    async def keep_watched(self) -> None:
        """Prove again and again that the event loop runs, until cancelled."""
        while self.watchdog:
            self.tell("WATCHDOG=1")
            await asyncio.sleep(self.watchdog / 2)


async def is_restarting() -> bool:
    """Whether this process is stopped only to be started again by systemd."""
    unit = own_unit()
    if unit is None:
        return False
    told = _told()
    jobs = told or await _systemctl("list-jobs", "--no-legend", "--plain")
    fields = (line.split() for line in jobs.splitlines())
    return any(len(f) > 2 and f[1] == unit and f[2] in _RESTARTS for f in fields)


async def is_going_down() -> bool:
    """Whether the whole system is."""
    told = _told() or await _systemctl("is-system-running")
    return told.splitlines()[:1] == ["stopping"]


def own_unit(cgroup: Path = Path("/proc/self/cgroup")) -> str | None:
    """The systemd service that this process belongs to."""
    with suppress(OSError):
        names = re.findall(r"/([^/\n]+\.service)(?:/|$)", cgroup.read_text(), re.MULTILINE)
        return names[-1] if names else None
    return None


def _told() -> str:
    """The system's state and its jobs, as the unit has written them down; nothing if it has not."""
    with suppress(OSError):
        if time.time() - ENDING.stat().st_mtime < FRESH:
            return ENDING.read_text()
    return ""


async def _systemctl(*arguments: str) -> str:
    try:
        asked = await asyncio.create_subprocess_exec(
            *("systemctl", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(ANSWER):
            out, _ = await asked.communicate()
    except (OSError, TimeoutError):
        return ""
    return out.decode("utf-8", "replace")
