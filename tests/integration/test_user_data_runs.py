"""User-data does on a host what it says: against a make-believe systemd, and real checkers."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dnssd.cli.main import run
from dnssd.errors import NotFound
from dnssd.provisioning.systemd import command_line
from dnssd.provisioning.userdata import Format, Life, joining, template, uninstalling
from dnssd.resolver.client import Resolver
from dnssd.sandbox.metadata.instance import Instance, Metadata
from dnssd.sandbox.metadata.server import MetadataServer
from dnssd.sandbox.sandbox import Sandbox, lead_into
from kit import unitfile

ROOT = Path(__file__).parents[2]
PATIENCE = 60  # seconds until a test gives up; nothing waits that long
WEB = ("http", "--port", "8080", "--instance", "web")
TOOLS = ("bash", "cat", "chmod", "mkdir", "mv", "rm", "sh")
LS, CHMOD = (shutil.which(tool) for tool in ("ls", "chmod"))
SHELLS = ("sh", "dash", "bash", "busybox sh")
WHEEL = "https://example.com/dnssd-1-py3-none-any.whl"
NEWER = "https://example.com/dnssd-2-py3-none-any.whl"
UNIT = "etc/systemd/system/dnssd-join.service"
SYSTEMCTL = """#!/bin/sh
echo "$*" >>@ROOT@/systemctl.log
case $1 in is-failed) exec cat @ROOT@/failed >/dev/null 2>&1 ;; esac
"""
PYTHON = """#!/bin/sh
case $1 in -c) exit 0 ;; esac # otherwise -m venv --clear FOLDER
rm -rf "$4" # and the links in it, through which one could write to the system's own Python
mkdir -p "$4/bin"
printf '#!/bin/sh\\n' >"$4/bin/python"
cat >"$4/bin/pip" <<'END'
#!/bin/sh
echo "pip $*" >>@ROOT@/packages.log
[ ! -e @ROOT@/pip-fails ] || exit 1
printf '#!/bin/sh\\necho dnssd 1\\n' >"${0%pip}dnssd"
chmod 755 "${0%pip}dnssd"
END
chmod 755 "$4/bin/python" "$4/bin/pip"
"""


def user_data(secrets: Mapping[str, str] | None = None, **changes: Any) -> str:
    """User-data as a script."""
    usual: dict[str, Any] = {
        "join": ("join", "http"),
        "leave": ("leave", "http"),
        "deadline": 120.0,
    }
    return joining(Format.SHELL, Life(**usual | {"install": WHEEL} | changes), secrets or {})


class Host:
    """A folder that stands for a host's file system, with a systemd that only takes notes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shell = "sh"
        self.environment: dict[str, str] = {}
        for folder in ("bin", "etc", "var/log", "run/systemd/system"):
            (root / folder).mkdir(parents=True)
        for tool in TOOLS:
            (root / "bin" / tool).symlink_to(shutil.which(tool) or tool)
        self.add("bin/systemctl", SYSTEMCTL)
        self.add("bin/sync", "#!/bin/sh\n")

    def add(self, path: str, script: str) -> None:
        """Put a program on the host."""
        program = self.root / path
        program.parent.mkdir(parents=True, exist_ok=True)
        program.unlink(missing_ok=True)  # it may be a link to this machine's own
        program.write_text(script.replace("@ROOT@", str(self.root)))
        program.chmod(0o755)

    def here(self, text: str) -> str:
        """`text` with its paths in this host's file system."""
        return re.sub(r"/(?=opt/dnssd|etc/|var/log/|run/systemd)", f"{self.root}/", text)

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a script of userdata/ as root would."""
        return self.execute([*self.shell.split(), "-c", self.here(script), "script", *arguments])

    def start(self) -> list[int]:
        """What the unit does at a host's start: the exit codes of its commands."""
        return [self._unit_command(name) for name in ("ExecStartPre", "ExecStart")]

    def stop(self) -> int:
        """What the unit does at a host's stop, however its start went."""
        return self._unit_command("ExecStopPost")

    def lines(self, path: str) -> list[str]:
        """The lines of a file, which may be missing."""
        file = self.root / path
        return file.read_text().splitlines() if file.exists() else []

    def systemctl(self) -> list[str]:
        """What systemd was asked since the last time."""
        asked = self.lines("systemctl.log")
        (self.root / "systemctl.log").unlink(missing_ok=True)
        return asked

    def files(self) -> dict[str, tuple[int, str]]:
        """Everything that was put here by user-data: inode and content."""
        return {
            str(path.relative_to(self.root)): (path.stat().st_ino, path.read_text())
            for folder in ("etc", "opt")
            for path in (self.root / folder).rglob("*")
            if path.is_file()
        }

    def _unit_command(self, setting: str) -> int:
        unit = (self.root / UNIT).read_text()
        (value,) = unitfile.settings(unit)[setting]
        given = unitfile.environment(unit)
        if "DNSSD_ZONE" in given:
            self.environment.setdefault("DNSSD_ZONE", given["DNSSD_ZONE"])
        return self.execute(unitfile.command(value.removeprefix("+"), given)).returncode

    def execute(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a program with this host's own programs on PATH, and no others."""
        return subprocess.run(
            command,
            env={"PATH": f"{self.root}/bin", **self.environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host that has booted for the first time."""
    return Host(tmp_path / "host")


@pytest.fixture(params=SHELLS)
def shell_host(request: pytest.FixtureRequest, host: Host) -> Host:
    """A host whose /bin/sh is one of several."""
    program = request.param.split()[0]
    if not shutil.which(program):
        pytest.skip(f"{program} is missing: scripts/install --servers installs it")
    host.shell = f"{shutil.which(program)}{request.param.removeprefix(program)}"
    return host


def test_the_script_puts_a_unit_and_starts_it(shell_host: Host) -> None:
    """It does not wait for the start: that waits for this boot to go on."""
    ran = shell_host.run(user_data())

    assert (ran.returncode, ran.stderr) == (0, "")
    assert shell_host.systemctl() == [
        "enable dnssd-join.service dnssd-sleep.service",
        "daemon-reload",
        "start --no-block dnssd-join.service",
    ]
    files = {path: text for path, (_, text) in shell_host.files().items()}
    assert files == {
        UNIT: shell_host.here(re.findall(r"644 <<.*\n(\[Unit][^<]*)^END", user_data(), re.M)[0]),
        "etc/systemd/system/dnssd-sleep.service": template("systemd/dnssd-sleep.service"),
        "etc/logrotate.d/dnssd": shell_host.here(template("logrotate")),
        "opt/dnssd/install.sh": shell_host.here(template("install.sh")),
    }
    assert os.access(shell_host.root / "opt/dnssd/install.sh", os.X_OK)


def test_a_key_is_roots_alone_and_goes_with_the_rest(host: Host) -> None:
    """It is never there for others to read, and another one takes its place."""
    host.add("bin/chmod", f'#!/bin/sh\n{LS} -l "$2" >>@ROOT@/modes\n{CHMOD} "$@"\n')
    path = "etc/dnssd/secrets/dnssd.key"
    for text in ("a $(reboot) \\", "b"):
        host.run(user_data({"dnssd.key": text}))
        assert host.lines(path) == [text]
    assert {line[:10] for line in host.lines("modes")} == {"-rw-------"}
    assert (host.root / path).stat().st_mode & 0o777 == 0o600
    host.run(uninstalling(Format.SHELL))
    assert not (host.root / path).exists()


def test_a_second_run_changes_nothing(shell_host: Host) -> None:
    """Not even a file's inode; what runs is not stopped."""
    shell_host.run(user_data())
    first = shell_host.files()
    shell_host.systemctl()

    assert shell_host.run(user_data()).returncode == 0

    assert shell_host.files() == first
    assert not [asked for asked in shell_host.systemctl() if asked.startswith("stop")]


def test_other_options_leave_by_the_old_ones_first(host: Host) -> None:
    """The old unit is stopped while systemd still knows no other."""
    host.run(user_data())
    host.systemctl()

    host.run(user_data(join=("join", "http", "--port=81")))

    assert "--port=81" in (host.root / UNIT).read_text()
    assert host.systemctl() == [
        "stop dnssd-join.service",
        "enable dnssd-join.service dnssd-sleep.service",
        "daemon-reload",
        "start --no-block dnssd-join.service",
    ]


def test_an_image_is_prepared_without_a_running_systemd(host: Host) -> None:
    """In a chroot the unit is only enabled."""
    (host.root / "run/systemd/system").rmdir()

    assert host.run(user_data()).returncode == 0
    assert host.systemctl() == ["enable dnssd-join.service dnssd-sleep.service"]


HOSTILE = ("$(reboot)", "`reboot`", "a'\"; reboot", "%n $HOME ${LOGGED}", "a\nEND_OF_FILE\nreboot")


def test_no_option_is_run(shell_host: Host) -> None:
    """What a caller gives goes through shell, unit and shell, and comes out as it was."""
    join = ("join", *HOSTILE, "é\x85\u2028\x01", "", " ")
    shell_host.add("bin/reboot", "#!/bin/sh\n: >@ROOT@/rebooted\n")
    shell_host.run(user_data(join=join, leave=("leave", *HOSTILE)))
    shell_host.add("opt/dnssd/install.sh", "#!/bin/sh\n")
    program = '#!/bin/bash\nprintf "%s\\0" "$@" >@ROOT@/"$1".words\n'
    shell_host.add("opt/dnssd/venv/bin/dnssd", program)

    assert (shell_host.start(), shell_host.stop()) == ([0, 0], 0)

    for words in (join, ("leave", *HOSTILE)):
        seen = (shell_host.root / f"{words[0]}.words").read_text(encoding="utf-8")
        assert tuple(seen.split("\0")[:-1]) == words
    assert not (shell_host.root / "rebooted").exists()


def started(host: Host, program: str, *join: str) -> tuple[int, str]:
    """Start a unit whose join is `program`: its exit code, and what the journal gets."""
    host.run(user_data(join=join or ("join", "http")))
    host.add("opt/dnssd/venv/bin/dnssd", f"#!/bin/sh\n{program}\n")
    unit = (host.root / UNIT).read_text()
    (value,) = unitfile.settings(unit)["ExecStart"]
    ran = host.execute(unitfile.command(value, unitfile.environment(unit)))
    return ran.returncode, ran.stdout


def test_the_log_goes_to_the_journal_and_to_a_file(host: Host) -> None:
    """Both streams, in the file with the time; the exit code is the program's."""
    program = r"printf '  a \\n %%s\n\n'; echo b >&2; printf c; exit 4"

    code, journal = started(host, program)

    log = host.lines("var/log/dnssd.log")
    assert (code, journal) == (4, "  a \\n %s\n\nb\nc\n")
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} ", line) for line in log)
    assert [line[25:] for line in log] == journal.splitlines()


def test_what_joins_side_by_side_is_all_run(host: Host) -> None:
    """Each waits for the other here; one that fails makes the whole fail, and stops no other."""
    (host.root / "met").mkdir()
    program = f"""cd {host.root}/met; : >"$2"; echo "$*"
while ! [ -e "$3" ]; do :; done; [ "$2" != a ] || exit 4"""

    commands = ("join a b", "join c c", "join-address b a")
    code, journal = started(host, program, *" // ".join(commands).split(" "))

    assert code == 4
    assert sorted(journal.splitlines()) == sorted(commands)


def test_a_full_disk_stops_nothing(host: Host) -> None:
    """What the file cannot take is in the journal still."""
    (host.root / "var/log/dnssd.log").symlink_to("/dev/full")

    assert started(host, "echo a; echo b; exit 3") == (3, "a\nb\n")


def test_it_installs_once_and_again_for_another_source(host: Host) -> None:
    """The first start finds a Python and makes an environment; the second does nothing."""
    host.add("bin/python3.12", PYTHON)
    pip = "pip install --quiet --disable-pip-version-check --no-input --no-cache-dir --upgrade"

    for spec in (WHEEL, WHEEL, "git+https://example.com/$HOME dnssd"):
        host.add("bin/git", "#!/bin/sh\n")
        assert host.run(template("install.sh"), spec).returncode == 0

    assert host.lines("packages.log") == [
        f"{pip} {WHEEL}",
        f"{pip} git+https://example.com/$HOME dnssd",
    ]


@pytest.mark.parametrize(
    ("manager", "asked"),
    [
        (
            "apt-get",
            [
                "update -qq",
                "install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "
                "python3 python3-venv",
                "update -qq",
                "install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 git",
            ],
        ),
        ("dnf", ["install -y -q python3.11 python3.11-pip", "install -y -q git"]),
    ],
)
def test_it_installs_what_is_missing(host: Host, manager: str, asked: list[str]) -> None:
    """A Python that is new enough, and git where the source is a git address."""
    host.add("python", PYTHON)
    install = "case $* in *python3*) mv @ROOT@/python @ROOT@/bin/python3.11 ;; esac"
    host.add(f"bin/{manager}", f'#!/bin/sh\necho "$*" >>@ROOT@/{manager}.log\n{install}\n')
    host.add("bin/python3", "#!/bin/sh\nexit 1\n")  # older, or without ensurepip

    ran = host.run(template("install.sh"), "git+https://example.com/dnssd")

    assert (ran.returncode, host.lines(f"{manager}.log")) == (0, asked)
    assert host.lines("packages.log")[0].endswith(" git+https://example.com/dnssd")


def test_a_failed_installation_is_tried_again(host: Host) -> None:
    """No network in the first minutes: the unit fails, and the next start mends it."""
    host.add("bin/python3", PYTHON)
    (host.root / "pip-fails").touch()
    host.run(user_data())

    codes = host.start()
    (host.root / "pip-fails").unlink()

    assert codes[0] == 1
    assert f"dnssd: install: pip could not install {WHEEL}" in host.lines("var/log/dnssd.log")[0]
    assert host.start() == [0, 0]
    assert len(host.lines("packages.log")) == 2


@pytest.mark.parametrize("name", ["dnssd", "dnssd==0.1.0", "dnssd.whl", "--index-url=x"])
def test_no_name_is_installed_from_the_index(host: Host, name: str) -> None:
    """Whoever registered it there would run code as root."""
    host.add("bin/python3", PYTHON)

    ran = host.run(template("install.sh"), name)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"dnssd: install: {name}: a name on a package index may be")
    assert not (host.root / "packages.log").exists()


def test_a_failed_upgrade_is_tried_again(host: Host) -> None:
    """The version that is there works, and is not the one that was asked for."""
    host.add("bin/python3", PYTHON)
    assert host.run(template("install.sh"), WHEEL).returncode == 0
    (host.root / "pip-fails").touch()
    assert host.run(template("install.sh"), NEWER).returncode == 1
    (host.root / "pip-fails").unlink()

    assert host.run(template("install.sh"), NEWER).returncode == 0
    assert [line.split()[-1] for line in host.lines("packages.log")] == [
        *(WHEEL, NEWER, NEWER),
    ]


def test_a_broken_environment_is_made_anew(host: Host) -> None:
    """After an upgrade of the system its Python may be gone from under it."""
    host.add("bin/python3", PYTHON)
    host.run(template("install.sh"), WHEEL)
    for name in ("python", "pip", "dnssd"):
        host.add(f"opt/dnssd/venv/bin/{name}", "#!/bin/sh\nexit 1\n")

    assert host.run(template("install.sh"), WHEEL).returncode == 0
    assert host.run("/opt/dnssd/venv/bin/dnssd").stdout == "dnssd 1\n"


@pytest.mark.parametrize("what", ["no pip", "another Python"])
def test_an_environment_without_pip_is_made_anew(host: Host, what: str) -> None:
    """Its making was cut short, or an upgrade of the system has put another Python under it."""
    python = shutil.which("python3") or sys.executable
    venv = host.root / "opt/dnssd/venv"
    checked(python, "-m", "venv", "--without-pip", str(venv))
    if what == "another Python":
        (venv / "spec").write_text(f"{WHEEL}\n")
        for name in ("pip", "dnssd"):
            host.add(f"opt/dnssd/venv/bin/{name}", "#!/bin/sh\nexit 1\n")
    host.add("bin/python3", PYTHON)

    assert host.run(template("install.sh"), WHEEL).returncode == 0
    assert host.run("/opt/dnssd/venv/bin/dnssd").stdout == "dnssd 1\n"


def test_halves_of_packages_are_not_built_upon(host: Host) -> None:
    """A first installation lost its power: pip would take for whole what it finds."""
    host.add("bin/python3", PYTHON)
    for name in ("python", "pip", "dnssd"):
        host.add(f"opt/dnssd/venv/bin/{name}", "#!/bin/sh\nexit 0\n")

    assert host.run(template("install.sh"), WHEEL).returncode == 0
    assert host.run("/opt/dnssd/venv/bin/dnssd").stdout == "dnssd 1\n"


def test_a_machine_without_python_is_one_clear_line(host: Host) -> None:
    """It says what to do."""
    ran = host.run(template("install.sh"), WHEEL)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "dnssd: install: neither dnf nor apt-get is here; "
        "put Python 3.11 or newer, and git if needed, on PATH\n"
    )


def test_uninstalling_leaves_and_removes_everything(shell_host: Host) -> None:
    """A start that does nothing and a stop: it leaves whatever the last join came to."""
    shell_host.run(user_data())
    shell_host.add("opt/dnssd/venv/bin/dnssd", "#!/bin/sh\n")
    shell_host.add("var/log/dnssd.log", "")
    shell_host.systemctl()

    assert shell_host.run(uninstalling(Format.SHELL)).returncode == 0

    assert shell_host.files() == {}
    assert list((shell_host.root / "var/log").iterdir()) == []
    assert shell_host.systemctl() == [
        "stop dnssd-join.service",
        "daemon-reload",
        "start --job-mode=ignore-dependencies dnssd-join.service",
        "stop dnssd-join.service",
        "daemon-reload",
        "is-failed --quiet dnssd-join.service",
        "disable dnssd-join.service",
        "disable dnssd-sleep.service",
        "daemon-reload",
    ]
    assert shell_host.run(uninstalling(Format.SHELL)).returncode == 0
    assert shell_host.systemctl() == ["daemon-reload"]


FULL = ("opt/dnssd/install.sh", UNIT, "etc/systemd/system/dnssd-sleep.service")


@pytest.mark.parametrize("where", [*FULL, "etc/logrotate.d/dnssd"])
def test_a_full_disk_takes_no_host_out_of_service(shell_host: Host, where: str) -> None:
    """New options cannot be written: the host stays joined by the old ones."""
    script = user_data(install=NEWER, join=("join", "http", "--port=81"))
    shell_host.run(user_data())
    before = shell_host.files()
    file = shell_host.root / where
    file.write_text("an older one\n")
    old = shell_host.files()
    file.with_name(f"{file.name}.new").symlink_to("/dev/full")
    shell_host.systemctl()

    ran = shell_host.run(script)

    assert ran.returncode != 0
    assert shell_host.systemctl() == []
    assert {path: shell_host.files()[path] for path in before} == old
    file.with_name(f"{file.name}.new").unlink()
    assert shell_host.run(script).returncode == 0
    assert shell_host.systemctl()[0] == "stop dnssd-join.service"
    assert not list(shell_host.root.rglob("*.new"))


@pytest.mark.parametrize("where", [*FULL, "etc/logrotate.d/dnssd"])
def test_uninstalling_removes_what_was_begun(shell_host: Host, where: str) -> None:
    """A first run that a full disk cut short leaves nothing behind either."""
    file = shell_host.root / where
    file.parent.mkdir(parents=True, exist_ok=True)
    file.with_name(f"{file.name}.new").symlink_to("/dev/full")
    assert shell_host.run(user_data()).returncode != 0

    assert shell_host.run(uninstalling(Format.SHELL)).returncode == 0

    assert shell_host.files() == {}
    assert not list(shell_host.root.rglob("*.new"))
    assert not [asked for asked in shell_host.systemctl() if asked.startswith("disable")]


def test_uninstalling_goes_on_where_it_was_cut_short(host: Host) -> None:
    """The unit is gone, and its last files are not."""
    host.run(user_data())
    (host.root / UNIT).unlink()

    assert host.run(uninstalling(Format.SHELL)).returncode == 0
    assert host.files() == {}


def test_uninstalling_keeps_what_could_not_leave(host: Host) -> None:
    """While the API is down, and says so; without dnssd there is nothing to leave with."""
    host.run(user_data())
    before = host.files()
    host.add("opt/dnssd/venv/bin/dnssd", "#!/bin/sh\n")
    (host.root / "failed").touch()

    ran = host.run(uninstalling(Format.SHELL))

    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert "leaving failed, nothing is removed; see journalctl -u dnssd-join" in ran.stderr
    (host.root / "opt/dnssd/venv/bin/dnssd").unlink()
    assert host.files() == before
    assert host.run(uninstalling(Format.SHELL)).returncode == 0
    assert host.files() == {}


def metadata(**facts: str) -> MetadataServer:
    """A metadata service that says so."""
    return MetadataServer(Metadata(Instance(**facts), now=time.monotonic), "127.0.0.1", 0)


@pytest.fixture
def cloud(host: Host, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> Iterator[Host]:
    """A host with the real dnssd and a public address, in a cloud that is the sandbox."""
    host.environment = lead_into(sandbox.environment(), {})
    command = ["user-data", *WEB, "--zone", "example.test", "--splay", "0", "--install", WHEEL]
    assert run([*command, "--address", "private", "--address", "public"]) == 0
    host.run(capsys.readouterr().out)
    host.add("opt/dnssd/install.sh", "#!/bin/sh\n")
    program = f'#!/bin/sh\nexec {sys.executable} -W ignore -m dnssd "$@"\n'
    host.add("opt/dnssd/venv/bin/dnssd", program)
    with metadata(public_ip="192.0.2.7") as server:
        host.environment |= {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{server.port}"}
        yield host


def addresses(sandbox: Sandbox) -> set[str]:
    """Where clients find the service now."""
    resolver = Resolver([sandbox.nameserver])
    try:
        snapshot = resolver.lookup("web._http._tcp.example.test")
    except NotFound:
        return set()
    return {address for endpoint in snapshot.endpoints for address in endpoint.addresses}


def test_a_host_lives_through_stops_and_starts(cloud: Host, sandbox: Sandbox) -> None:
    """First boot, a stop, a start with another public address, a crash, a reboot, a stop."""
    seen = []
    for public, stops in (("192.0.2.7", True), ("192.0.2.8", False), ("192.0.2.9", True)):
        with metadata(public_ip=public) as server:
            url = f"http://127.0.0.1:{server.port}"
            cloud.environment = {**cloud.environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT": url}
            assert cloud.start() == [0, 0]
            seen.append(addresses(sandbox))
            if stops:
                assert cloud.stop() == 0
                seen.append(addresses(sandbox))

    assert seen == [
        {"10.0.0.5", "192.0.2.7"},
        set(),
        {"10.0.0.5", "192.0.2.8"},  # and then it crashes
        {"10.0.0.5", "192.0.2.9"},
        set(),
    ]
    log = " ".join(cloud.lines("var/log/dnssd.log"))
    assert log.count(" joined web._http._tcp.example.test. as ") == 3
    assert log.count(" left web._http._tcp.example.test.: ") == 2


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody listens, and nobody else can."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"


def test_a_failed_join_is_left_and_tried_again(cloud: Host, sandbox: Sandbox, nobody: str) -> None:
    """The API is down at the start: the unit leaves what there may be, and starts again."""
    unit = cloud.root / UNIT
    patient, usual = unit.read_text(), cloud.environment
    hasty = patient.replace("join -v http", "join -v http --deadline=0.1")
    unit.write_text(hasty.replace("--deadline=10", "--deadline=0.1"))
    cloud.environment = {**usual, "AWS_ENDPOINT_URL_ROUTE_53": nobody}

    failed = [*cloud.start(), cloud.stop()]
    unit.write_text(patient)
    cloud.environment = usual

    assert failed == [0, 1, 1]
    assert cloud.start() == [0, 0]
    assert addresses(sandbox) == {"10.0.0.5", "192.0.2.7"}


def test_a_machine_made_anew_takes_over(cloud: Host, sandbox: Sandbox) -> None:
    """Under a host label that stays the owner is another: refused, unless it is told to."""
    unit = cloud.root / UNIT
    labelled = unit.read_text().replace("--port=8080", "--port=8080 --host=web-1")
    codes = []
    for instance, option in (("i-0a", ""), ("i-0b", ""), ("i-0b", " --takeover")):
        unit.write_text(labelled.replace("join -v", f"join -v{option}"))
        with metadata(instance_id=instance, public_ip="192.0.2.7") as server:
            url = f"http://127.0.0.1:{server.port}"
            cloud.environment = {**cloud.environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT": url}
            codes.append(cloud.start()[1])

    assert codes == [0, 4, 0]
    assert len(addresses(sandbox)) == 2


NASTY = [
    *HOSTILE,
    *("", ";", "a\\", "\\x41\\n", "'\"'", "é😀\x85\u2028\x01\x7f", "\t \n", "-%%-$$-", "&", "${A}"),
]
SYSTEMD = "/lib/systemd/systemd"
texts = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))


def as_systemd_reads(lines: list[str]) -> list[str]:
    """What systemd itself makes of ExecStart= lines, as it shows them: quoted for a shell."""
    nobody: dict[str, Any] = {} if os.geteuid() else {"user": 65534, "group": 65534}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)  # root may not test units: somebody else has to
        unit = "[Service]\nType=oneshot\n" + "".join(f"ExecStart={line}\n" for line in lines)
        (Path(folder) / "tested.service").write_text(unit)
        completed = subprocess.run(
            [SYSTEMD, "--test", "--user", "--unit=tested.service"],
            env={"XDG_RUNTIME_DIR": folder, "HOME": folder, "SYSTEMD_UNIT_PATH": f"{folder}:"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
            **nobody,
        )
    _, found, shown = completed.stdout.decode().partition("-> Unit tested.service:\n")
    assert found, completed.stdout
    return re.findall(r"Command Line: (.*)\n", shown.partition("-> Unit ")[0])


def unquoted(shown: str) -> str:
    """A word that systemd shows: plain, in double quotes, or in $'...', with C's escapes."""
    match = re.fullmatch(r"""\$?(["'])(.*)\1""", shown)
    if not match:
        return shown
    piece = re.compile(r"\\([0-7]{3})|\\([abfnrtv])|\\(.)|([^\\]+)", re.DOTALL)
    letters = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
    return "".join(
        chr(int(octal, 8)) if octal else letters.get(letter) or other or plain
        for octal, letter, other, plain in piece.findall(match[2])
    )


@pytest.mark.skipif(not os.access(SYSTEMD, os.X_OK), reason=f"{SYSTEMD} is missing")
@given(words=texts)
@example(words=NASTY)
@settings(max_examples=20)
def test_systemd_reads_units_as_the_tests_do(words: list[str]) -> None:
    """Its own reader, and the one that these tests rest on, find every word again."""
    lines = [f"/bin/echo {command_line([word])}" for word in words]

    shown = [line.removeprefix("/bin/echo ") for line in as_systemd_reads(["/bin/true", *lines])]

    assert [unquoted(word).replace("$$", "$") for word in shown[1:]] == words
    assert [unitfile.command(line)[1] for line in lines] == words


def checked(*command: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """What a checker says; it must find nothing wrong."""
    completed = subprocess.run(
        command,
        env=env,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout
    return completed.stdout


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A folder with the units, whose programs are there."""
    script = Host(tmp_path / "host")
    script.run(user_data(join=("join", *HOSTILE), leave=("leave", *HOSTILE), lease=60))
    for program in ("opt/dnssd/venv/bin/dnssd", "opt/dnssd/install.sh"):
        script.add(program, "#!/bin/sh\n")
    return script.root / "etc/systemd/system"


@pytest.fixture
def analyze() -> str:
    """systemd-analyze."""
    program = shutil.which("systemd-analyze")
    if not program:
        pytest.skip("systemd-analyze is missing: apt-get install systemd")
    return program


def test_systemd_finds_nothing_wrong_with_the_units(units: Path, analyze: str) -> None:
    """No unknown setting, no missing program."""
    paths = [str(path) for path in sorted(units.glob("*.service"))]

    assert len(paths) == 2
    assert checked(analyze, "verify", "--man=no", *paths) == ""


def test_no_ordering_cycle_comes_of_the_units(units: Path, analyze: str) -> None:
    """With the units enabled, beside cloud-init's; systemd-analyze only mentions a cycle."""
    (units / "cloud-final.service").write_text(
        "[Unit]\nAfter=network-online.target multi-user.target\n"
        "[Service]\nType=oneshot\nExecStart=/bin/true\n"
    )
    for target, unit in (
        ("multi-user.target", "dnssd-join.service"),
        ("sleep.target", "dnssd-sleep.service"),
        ("graphical.target", "cloud-final.service"),  # in its place for cloud-init.target
    ):
        (units / f"{target}.wants").mkdir()
        (units / f"{target}.wants" / unit).symlink_to(units / unit)
    path = {"SYSTEMD_UNIT_PATH": f"{units}:/lib/systemd/system", "PATH": os.environ["PATH"]}

    for target in ("graphical.target", "hibernate.target", "shutdown.target"):
        said = checked(analyze, "verify", "--man=no", target, env=path)
        assert not re.search("cycle|dnssd", said), said


def test_the_unit_is_confined(units: Path, analyze: str) -> None:
    """It is root for the sake of the host's identity, and can do little with it."""
    checked(
        analyze,
        "security",
        "--offline=true",
        "--threshold=30",
        str(units / "dnssd-join.service"),
    )


CLOUD_INIT = ROOT / ".venv-tools" / "cloud-init"


@pytest.mark.parametrize("uninstall", [False, True])
def test_cloud_init_knows_every_key(uninstall: bool, tmp_path: Path) -> None:
    """The schema of cloud-init itself."""
    if not CLOUD_INIT.exists():
        pytest.skip("cloud-init is missing: scripts/install --servers installs it")
    life = Life(join=("join", *HOSTILE), leave=("leave", *HOSTILE), deadline=120, install=WHEEL)
    form = Format.CLOUD_CONFIG
    config = tmp_path / "cloud-config.yaml"
    config.write_text(uninstalling(form) if uninstall else joining(form, life))
    schema = ("-m", "cloudinit.cmd.main", "schema", "--config-file", str(config))

    said = checked(
        str(ROOT / ".venv-tools/bin/python"),
        *schema,
        env={"PYTHONPATH": str(CLOUD_INIT), "PATH": os.environ["PATH"]},
    )

    assert said.startswith("Valid cloud-config")


@pytest.mark.parametrize("script", ["join", "install", "uninstall"])
def test_shellcheck_finds_nothing_in_the_scripts(script: str, tmp_path: Path) -> None:
    """As they are rendered; scripts/check looks at the templates."""
    program = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if not program:
        pytest.skip("shellcheck is missing: scripts/install installs it")
    file = tmp_path / "script.sh"
    hostile = user_data(join=("join", *HOSTILE), install="/a $HOME `b`")
    file.write_text(hostile if script == "join" else template(f"{script}.sh"))

    assert checked(program, str(file)) == ""


def test_logrotate_takes_its_file(tmp_path: Path) -> None:
    """A dry run reads it without complaint."""
    program = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin")
    if not program:
        pytest.skip("logrotate is missing: scripts/install --servers installs it")
    host = Host(tmp_path / "host")
    file = tmp_path / "dnssd"
    file.write_text(host.here(template("logrotate")))
    file.chmod(0o644)

    said = checked(program, "--debug", "--state", str(tmp_path / "state"), str(file))

    assert "error" not in said
    assert "considering log" in said or "does not exist -- skipping" in said
