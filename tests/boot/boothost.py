"""A host that boots with user-data: systemd in a container, on a root that nobody else sees.

Its network is one cable to this process's. A unit puts it up, and takes it down when the host
stops, as any network configuration does: what leaves too late finds no network.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from bootcloud import METADATA, PATIENCE, environment, expect, until
from bootroot import PIP

UNIT = "dnssd-join.service"
_REBOOT = 133  # how systemd-nspawn ends to be started again
_NETWORK_UNIT = """
[Unit]
Description=This host's network
Wants=network.target
Before=network.target network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/ip address replace {host}/24 dev host0
ExecStart=/bin/ip link set host0 up
ExecStart=/bin/ip route replace default via {gateway}
ExecStop=/bin/ip link set host0 down
[Install]
WantedBy=network-online.target
"""
_USER_DATA_UNIT = """
[Unit]
Description=Run user-data at the first boot, when cloud-init does
ConditionPathExists=!/var/lib/user-data.ran
Wants=network-online.target
After=network-online.target
[Service]
Type=oneshot
ExecStart=/bin/sh /var/lib/user-data
ExecStartPost=/bin/touch /var/lib/user-data.ran
[Install]
WantedBy=multi-user.target
"""
_FOR_EVERY_PROGRAM = {
    **environment(),
    "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{METADATA}",
    **PIP,
}


class Host:
    """A host; `boot` it.

    Args:
        root: What it boots from, below a layer that takes what it writes.
        folder: Where that layer and the host's network are.
        subnet: Its own, of 10.213.0.0/16: the gateway is .1 there, and the host .2.
    """

    def __init__(self, root: Path, folder: Path, subnet: int = 0) -> None:
        self.root = folder / "root"
        self._cable = f"gate{subnet}"  # our end of it; the host's is host0
        self._gateway, address = (f"10.213.{subnet}.{last}" for last in (1, 2))
        self._network = folder / "network"
        self._console = folder / "console"
        self._group = Path(f"/sys/fs/cgroup/host{subnet}")  # each systemd takes all of its own
        self._process: subprocess.Popen[bytes] | None = None
        self._mount(root, folder)
        network = _NETWORK_UNIT.format(host=address, gateway=self._gateway)
        self.put("etc/systemd/system/network.service", network)
        self.put("etc/systemd/system/user-data.service", _USER_DATA_UNIT)
        self.enable("network.service", "user-data.service")
        self.lead(_FOR_EVERY_PROGRAM)
        self._connect()

    def lead(self, environment: Mapping[str, str]) -> None:
        """Set variables for every program on the host, in place of those that were set."""
        lines = (f"{name}={value}\n" for name, value in environment.items())
        self.put("etc/default/dnssd", "".join(lines))

    def put(self, path: str, text: str) -> None:
        """Write a file on the host."""
        (self.root / path).write_text(text)

    def enable(self, *units: str) -> None:
        """Let units start with it, before it boots."""
        _run("systemctl", f"--root={self.root}", "enable", "--quiet", *units)

    def boot(self) -> None:
        """Switch it on."""
        self._group.mkdir(exist_ok=True)
        enter = 'echo 0 >"$1/cgroup.procs"; shift; exec "$@"'
        with self._console.open("ab") as console:
            self._process = subprocess.Popen(
                (
                    *("sh", "-euc", enter, "enter", str(self._group)),
                    *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot"),
                    f"--directory={self.root}",
                    f"--network-namespace-path={self._network}",
                    *("--capability=CAP_NET_ADMIN", "--hostname=web-1", "--resolv-conf=off"),
                ),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )

    def power_off(self, within: float = PATIENCE) -> float:
        """Shut it down; how many seconds that took, which may be so many."""
        return self._shut_down("poweroff", 0, within)

    def reboot(self) -> float:
        """Shut it down and switch it on again; how many seconds the former took."""
        took = self._shut_down("reboot", _REBOOT, PATIENCE)
        self.boot()
        return took

    def kill(self) -> None:
        """Pull the plug: without its first process the kernel ends all others, at once."""
        assert self._process
        os.kill(self._init(), signal.SIGKILL)
        self._process.wait()

    def run(self, *command: str, code: int | None = 0) -> str:
        """What a program prints on the host; it ends with `code`, or None for any."""
        return _run("nsenter", f"--target={self._init()}", "--all", "--", *command, code=code)

    def unit(self, setting: str) -> str:
        """What systemd knows of the unit that joins and leaves."""
        return self.run("systemctl", "show", "--value", "--property", setting, UNIT).strip()

    def has_booted(self) -> bool:
        """Whether people may log in and services are started."""
        answer = self.run("systemctl", "is-active", "multi-user.target", code=None)
        return answer == "active\n"

    def log(self) -> list[str]:
        """What the host's file has about joining and leaving, without the times."""
        file = self.root / "var/log/dnssd.log"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line.partition(" ")[2] for line in lines]

    def is_sound(self) -> None:
        """Wait until it has booted, and see that every unit has started."""
        until(self.has_booted, "the boot does not end")
        expect(
            self.run("systemctl", "is-system-running", "--wait") == "running\n",
            "some unit has failed",
        )
        journal = self.run("journalctl", "--boot", "--no-pager")
        expect("ordering cycle" not in journal, "the units are in a cycle")

    def has_nothing_of_it(self) -> None:
        """See that nothing of user-data has stayed."""
        places = ("etc/**/dnssd*.service", "etc/logrotate.d/dnssd", "opt/dnssd", "var/log/dnssd*")
        left = [str(path) for place in places for path in self.root.glob(place)]
        expect(not left, f"these are still there: {', '.join(left)}")

    def plug(self, state: str) -> None:
        """The cable at our end: `up` or `down`."""
        _run("ip", "link", "set", self._cable, state)

    def remains(self) -> str:
        """What there is to say about a story that went wrong."""
        journal = ("journalctl", "--directory", str(self.root / "var/log/journal"), "--no-pager")
        said = _run(
            *journal,
            "--lines=60",
            "--unit",
            UNIT,
            "--unit",
            "dnssd-agent",
            "--unit",
            "user-data",
            code=None,
        )
        console = self._console.read_text(errors="replace") if self._console.exists() else ""
        shown = "\n".join(console.splitlines()[-15:])
        return "\n".join(("-- log", *self.log(), "-- journal", said, "-- console", shown))

    def _shut_down(self, how: str, code: int, within: float) -> float:
        assert self._process
        started = time.monotonic()
        self.run("systemctl", how, code=None)
        try:
            ended = self._process.wait(within)
        except subprocess.TimeoutExpired:
            expect(False, f"{how} is not done within {within:g} s")
        expect(ended == code, f"{how}: the container ended with {ended}, not {code}")
        return time.monotonic() - started

    def _init(self) -> int:
        """Its process 1, as seen from here."""
        assert self._process
        pid = self._process.pid
        found: list[str] = []

        def is_there() -> bool:
            found[:] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return len(found) == 1 and _name(found[0]) == "systemd"

        until(is_there, "the container has no init", within=10)
        return int(found[0])

    def _mount(self, root: Path, folder: Path) -> None:
        for name in ("upper", "work", "root"):
            (folder / name).mkdir()
        layers = f"lowerdir={root},upperdir={folder}/upper,workdir={folder}/work"
        _run("mount", "-t", "overlay", "-o", layers, "overlay", str(self.root))

    def _connect(self) -> None:
        """A network for the host, and a cable to it."""
        self._network.touch()
        _run("unshare", f"--net={self._network}", "true")
        peer = ("peer", "name", "host0", "netns", str(self._network))
        _run("ip", "link", "add", self._cable, "type", "veth", *peer)
        _run("ip", "address", "add", f"{self._gateway}/24", "dev", self._cable)
        _run("ip", "address", "replace", f"{METADATA}/32", "dev", self._cable)
        for device in ("lo", self._cable):
            _run("ip", "link", "set", device, "up")


def _name(pid: str) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _run(*command: str, code: int | None = 0) -> str:
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, errors="replace", check=False
    )
    expect(
        code is None or ran.returncode == code,
        f"{' '.join(command)}: exit code {ran.returncode}, not {code}: {ran.stderr.strip()}",
    )
    return ran.stdout
