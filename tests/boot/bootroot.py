"""The root of the hosts that boot: a Debian or Ubuntu with dnssd from this checkout's wheel.

It is kept in a temporary folder between runs: the system until this machine's apt has another
source, and dnssd until the checkout changes.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dnssd.provisioning.userdata import template

CHECKOUT = Path(__file__).parents[2]
PACKAGES = ("dbus", "iproute2", "python3-venv", "systemd-sysv")
WHEELS = Path("opt/wheels")  # in the root
PIP = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"/{WHEELS}"}  # hosts have no index
BOOTSTRAPPING = 300  # seconds at most
ATTEMPTS = 2  # a mirror may have a bad moment


class Broken(Exception):
    """The root cannot be made."""


@dataclass(frozen=True, slots=True)
class Root:
    """What hosts boot from; nobody writes to it.

    Attributes:
        path: The folder.
        wheel: What pip installs dnssd from, as hosts see it.
    """

    path: Path
    wheel: str


@contextmanager
def prepared_root() -> Iterator[Root]:
    """The root, for one run at a time.

    Raises:
        Broken: It cannot be made.
    """
    folder = Path(tempfile.gettempdir()) / "dnssd-boot-test"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise Broken(f"{folder}: it is somebody else's; remove it")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _make_system(folder)
        wheel = _install_dnssd(folder)
        yield Root(folder / "root", wheel)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where this machine's apt has its system from."""

    uri: str
    suite: str
    components: tuple[str, ...]

    @classmethod
    def of_this_machine(cls) -> "_Source":
        listed = _output(
            "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
            "Identifier: Packages",
        )  # fmt: skip
        targets = [line.split() for line in listed.splitlines()]
        for uri, suite, component in targets:
            if component == "main" and "-" not in suite and "/" not in suite:
                found = [c for u, s, c in targets if (u, s) == (uri, suite)]
                return cls(uri, suite, tuple(dict.fromkeys(found)))
        raise Broken("apt: it has no source of a whole system; see /etc/apt/sources.list.d")


def _make_system(folder: Path) -> None:
    source = _Source.of_this_machine()
    key = repr((source, PACKAGES))
    if _is_current(folder / "system", key):
        return
    print("scripts/boot-test: making a system to boot; this takes minutes", flush=True)
    for stamp in ("system", "installed"):
        (folder / stamp).unlink(missing_ok=True)
    root = folder / "root"
    command = (
        *("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
        f"--components={','.join(source.components)}",
        *(source.suite, str(root), source.uri),
    )
    for others in reversed(range(ATTEMPTS)):
        _remove(root)
        try:
            _output(*command, env={**os.environ, **_proxy()}, timeout=BOOTSTRAPPING)
            break
        except Broken:
            if not others:
                raise
    # Journals are looked at when a host is down; and who a machine is its first boot decides.
    (root / "var/log/journal").mkdir(exist_ok=True)
    (root / "etc/machine-id").write_text("")
    (folder / "system").write_text(key)


def _install_dnssd(folder: Path) -> str:
    """Install it as user-data would; the wheel's path."""
    root = folder / "root"
    wheels = _wheels(folder, root)
    installer = template("install.sh")
    key = hashlib.sha256(installer.encode())
    for wheel in sorted(wheels.iterdir()):
        key.update(wheel.name.encode() + wheel.read_bytes())
    (own,) = wheels.glob("dnssd-*.whl")
    spec = f"/{WHEELS / own.name}"
    if _is_current(folder / "installed", key.hexdigest()):
        return spec
    (folder / "installed").unlink(missing_ok=True)
    for old in (root / WHEELS, root / "opt/dnssd"):
        _remove(old)
    shutil.copytree(wheels, root / WHEELS)
    script = root / "opt/dnssd/install.sh"
    script.parent.mkdir()
    script.write_text(installer)
    script.chmod(0o755)
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    _output("chroot", str(root), "/opt/dnssd/install.sh", spec, env={"PATH": path, **PIP})
    (folder / "installed").write_text(key.hexdigest())
    return spec


def _wheels(folder: Path, root: Path) -> Path:
    """A folder with this checkout's wheel and those that it needs, for the root's Python."""
    wheels = folder / "wheels"
    ask = "import sys; print(*sys.version_info[:2], sep='.')"
    version = _output("chroot", str(root), "python3", "-c", ask).strip()
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    needed = project["project"]["dependencies"]
    key = repr((version, needed))
    if not _is_current(folder / "downloaded", key):
        (folder / "downloaded").unlink(missing_ok=True)
        _remove(wheels)
        pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
        wanted = ("--only-binary=:all:", "--python-version", version, "--dest", str(wheels))
        _output(*pip, *wanted, *needed)
        (folder / "downloaded").write_text(key)
    for wheel in wheels.glob("dnssd-*.whl"):
        wheel.unlink()
    hatch = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels))
    _output(*hatch, cwd=CHECKOUT)
    return wheels


def _is_current(stamp: Path, key: str) -> bool:
    return stamp.exists() and stamp.read_text() == key


def _remove(folder: Path) -> None:
    """Remove a folder, but nothing that is mounted in it."""
    if folder.exists():
        _output("rm", "-rf", "--one-file-system", str(folder))


def _proxy() -> dict[str, str]:
    """The proxy of apt, for a program that knows the variable alone."""
    said = _output("apt-config", "dump", "--format", "%v", "Acquire::http::Proxy").strip()
    return {"http_proxy": said} if said else {}


def _output(
    *command: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 300,
) -> str:
    """What a program prints on stdout.

    Raises:
        Broken: It fails; with the end of what it said.
    """
    try:
        ran = subprocess.run(
            _ended_with_this_process(command),
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Broken(f"{command[0]}: not done after {timeout:g} s; try again") from error
    if ran.returncode:
        end = "\n".join((ran.stdout + ran.stderr).splitlines()[-15:])
        raise Broken(f"{' '.join(command)}: exit code {ran.returncode}; it said:\n{end}")
    return ran.stdout


def _ended_with_this_process(command: Sequence[str]) -> tuple[str, ...]:
    return ("setpriv", "--pdeathsig", "KILL", "--", *command)
