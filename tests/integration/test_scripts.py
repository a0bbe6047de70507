"""The scripts find what they need, install it once, and say in one line what is wrong."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SYSTEM = ("sh", "cat", "dirname", "grep", "mkdir", "chmod", "tail")
PROGRAMS = re.findall(r"^    need (\S+) ", (ROOT / "scripts/install").read_text(), re.MULTILINE)
CLIENTS = "awscli cfn-lint configobj octodns octodns-route53 parliament requests"
PIP = "pip install --quiet --disable-pip-version-check"
INSTALLED = f"{PIP} --no-input --no-compile -e "
OLD = "exit 1\n"  # a Python before 3.11, or a shim for none
TOO_OLD = '[ -z "$2" ]\n'  # a Python that works, and is older
BARE = 'case "$2" in *ensurepip*) exit 1;; esac\n'  # Debian's without python3-venv
WHOLE = """
case "$1" in -c) exit 0;; esac  # otherwise -m venv --clear FOLDER
mkdir -p $4/bin
for tool in python pip; do
    echo '#!/bin/sh' >$4/bin/$tool
    chmod +x $4/bin/$tool
done
cat >>$4/bin/pip <<END
case "\\$1" in --version) echo "pip 1 from $(pwd)/$4/lib";; *) echo "pip \\$*" >>$PIPS; $PIP;; esac
END
"""


class Checkout:
    """A checkout whose machine has the Pythons that a test gives it."""

    def __init__(self, path: Path) -> None:
        self.path = path / "checkout"
        self.bin = path / "bin"
        self.pips = path / "pips"
        for folder in (self.path / "scripts", self.path / "dnssd", self.bin):
            folder.mkdir(parents=True)
        for name in ("scripts/install", "dnssd/version.py", "pyproject.toml"):
            shutil.copy(ROOT / name, self.path / name)
        for tool in SYSTEM:
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)

    def add_python(self, name: str, script: str) -> None:
        """Put a Python on PATH."""
        python = self.bin / name
        python.write_text("#!/bin/sh\n" + script)
        python.chmod(0o755)

    def install(
        self, *arguments: str, pip: str = "exit 0", user: int | None = None
    ) -> tuple[int, str, str]:
        """Run scripts/install from elsewhere; exit code, calls of pip, and stderr."""
        self.pips.write_text("")
        completed = self._run("install", *arguments, pip=pip, user=user)
        assert completed.stdout == ""
        return completed.returncode, self.pips.read_text(), completed.stderr

    def boot_test(self) -> tuple[int, str]:
        """Run scripts/boot-test; exit code and stderr."""
        completed = self._run("boot-test")
        return completed.returncode, completed.stderr

    def _run(
        self, script: str, *arguments: str, pip: str = "exit 0", user: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.path / "scripts" / script, *arguments],
            cwd=self.bin,
            env={"PATH": str(self.bin), "PIP": pip, "PIPS": str(self.pips)},
            capture_output=True,
            text=True,
            timeout=60,
            user=user,
            check=False,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout on a machine without Python."""
    return Checkout(tmp_path)


@pytest.mark.parametrize(
    ("manager", "python3", "advice"),
    [
        ("apt-get", None, "run as root: apt-get install python3 python3-venv"),
        ("apt-get", TOO_OLD, "run as root: apt-get install python3.11 python3.11-venv"),
        ("dnf", TOO_OLD, "run as root: dnf install python3.11 python3.11-pip"),
        (None, OLD, "install it and put python3 on PATH"),
    ],
)
def test_no_python_is_one_clear_line(
    checkout: Checkout, manager: str | None, python3: str | None, advice: str
) -> None:
    """Older ones, and shims that lead nowhere, are none; the packages are named."""
    checkout.add_python("python3.12", OLD)
    if manager:
        checkout.add_python(manager, "exit 1\n")
    if python3:
        checkout.add_python("python3", python3)

    code, _, error = checkout.install()

    assert (code, error) == (1, f"scripts/install: no Python 3.11 or newer: {advice}\n")


def test_a_python_without_venv_is_named(checkout: Checkout) -> None:
    """The line says which package is missing."""
    checkout.add_python("python3.13", BARE)
    checkout.add_python("python3", BARE)
    checkout.add_python("apt-get", "exit 1\n")

    code, _, error = checkout.install()

    assert (code, error) == (
        1,
        "scripts/install: python3 has no venv: run as root: apt-get install python3-venv\n",
    )


@pytest.mark.parametrize(("option", "what"), [((), "."), (("--dev",), ".[dev]")])
def test_it_installs_once_and_again_after_a_change(
    checkout: Checkout, option: tuple[str, ...], what: str
) -> None:
    """A second run is quick; another pyproject.toml or version is installed."""
    checkout.add_python("python3.13", BARE)
    checkout.add_python("python3.11", WHOLE)
    installed = f"{INSTALLED}{what}\n"

    assert checkout.install(*option)[:2] == (0, installed)
    assert checkout.install(*option) == (0, "", "")

    for name in ("pyproject.toml", "dnssd/version.py"):
        with (checkout.path / name).open("a") as file:
            file.write("\n__version__ = 'changed'\n")
        assert checkout.install(*option)[:2] == (0, installed)
        assert checkout.install(*option) == (0, "", "")


def test_the_demonstration_does_not_take_the_tools_away(checkout: Checkout) -> None:
    """Tools come when they are first needed, and stay up to date from then on."""
    checkout.add_python("python3", WHOLE)

    assert checkout.install()[1] == f"{INSTALLED}.\n"
    assert checkout.install("--dev")[1] == f"{INSTALLED}.[dev]\n"
    assert checkout.install() == checkout.install("--dev") == (0, "", "")
    (checkout.path / "pyproject.toml").write_text("changed")
    assert checkout.install()[1] == f"{INSTALLED}.[dev]\n"


def test_a_checkout_that_moves_is_installed_anew(checkout: Checkout) -> None:
    """Scripts in .venv/bin name the Python they were made for."""
    checkout.add_python("python3", WHOLE)
    checkout.install()
    checkout.path = checkout.path.rename(checkout.path.with_name("moved"))

    assert checkout.install()[1] == f"{INSTALLED}.\n"
    assert str(checkout.path) in (checkout.path / ".venv/bin/pip").read_text()


def test_a_failed_installation_is_not_taken_for_one(checkout: Checkout) -> None:
    """One line says why, the rest is in a file, and the next run tries again."""
    checkout.add_python("python3", WHOLE)
    failing = "eval echo WARNING: a; echo ERROR: no space; exit 1"

    code, _, error = checkout.install(pip=failing)

    assert code == 1
    assert error.splitlines()[1:] == [
        "scripts/install: pip could not install dnssd: no space; pip's own words are in"
        " .venv/pip.log"
    ]
    assert "WARNING: a" in (checkout.path / ".venv/pip.log").read_text()
    assert checkout.install(pip=failing)[0] == 1


def test_no_network_is_one_line(checkout: Checkout) -> None:
    """Not the ten that pip has for it."""
    checkout.add_python("python3", WHOLE)
    failing = "eval echo WARNING: Retrying after connection broken by it; exit 1"

    code, _, error = checkout.install(pip=failing)

    assert (code, error.count("\n")) == (1, 2)
    assert "scripts/install: pip reaches no package index: check the network" in error


def test_another_users_checkout_is_one_line() -> None:
    """Nothing is tried where this user may not write."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = Checkout(Path(folder))
        checkout.add_python("python3", WHOLE)
        for path in (Path(folder), checkout.path):
            path.chmod(0o555)

        code, _, error = checkout.install(user=65534 if os.getuid() == 0 else None)
        checkout.path.chmod(0o755)

    assert (code, error.count("\n")) == (1, 1)
    assert "clone the repository into a folder of your own" in error


def test_servers_need_apt_and_root(checkout: Checkout) -> None:
    """What cannot be installed here is said, and nothing is tried."""
    checkout.add_python("python3", WHOLE)

    code, _, error = checkout.install("--servers")
    assert (code, error.count("\n")) == (1, 1)
    assert "no apt-get here" in error

    for tool, script in (("apt-get", "exit 0\n"), ("id", "echo 1000\n")):
        checkout.add_python(tool, script)
    code, _, error = checkout.install("--servers")
    assert (code, error.count("\n")) == (1, 1)
    assert "not root; run: sudo apt-get install" in error


def test_servers_adds_clients_once(checkout: Checkout) -> None:
    """Where all programs are, nothing but pip is needed; failing, they are only missed."""
    checkout.add_python("python3", WHOLE)
    for tool in PROGRAMS:
        checkout.add_python(tool, "exit 0\n")
    clients = f"{PIP} {CLIENTS}\n"
    checkout.install("--dev")

    code, out, error = checkout.install("--servers", pip="exit 1")
    assert (code, out) == (0, clients)
    assert "their tests are skipped" in error

    assert checkout.install("--servers")[:2] == (0, clients)
    assert checkout.install("--servers") == (0, "", "")
    assert (checkout.path / ".venv-tools/bin/pip").exists()


def test_what_is_only_read_or_shown_files_is_unpacked_and_not_installed(checkout: Checkout) -> None:
    """cloud-init would take over the next start, servers would run; without them tests skip."""
    checkout.add_python("python3", WHOLE)
    for tool in (*PROGRAMS, "mv", "rm"):
        if tool in PROGRAMS:
            checkout.add_python(tool, "exit 0\n")
        else:
            (checkout.bin / tool).symlink_to(shutil.which(tool) or tool)
    checkout.install("--dev")
    checkout.add_python("apt-get", "exit 1\n")
    error = checkout.install("--servers")[2]
    assert "apt-get could not download cloud-init" in error
    assert "they could not be had" in error
    checkout.add_python("apt-get", "case $1 in download) exit 0 ;; *) exit 1 ;; esac\n")
    checkout.add_python("dpkg", "mkdir -p usr/lib/python3/dist-packages/cloudinit proxies\n")

    assert checkout.install("--servers")[0] == 0

    assert (checkout.path / ".venv-tools/cloud-init/cloudinit").is_dir()
    assert (checkout.path / ".venv-tools/proxies").is_dir()
    assert not (checkout.path / ".venv-tools/unpacked").exists()
    assert checkout.install("--servers") == (0, "", "")


def test_boots_are_skipped_where_they_cannot_be(checkout: Checkout) -> None:
    """Whoever is not root, or lacks a program or the right, is told so: no test has failed."""
    shutil.copy(ROOT / "scripts/boot-test", checkout.path / "scripts")
    (tools,) = re.findall(r"for program in (.*); do", (ROOT / "scripts/boot-test").read_text())
    checkout.add_python("id", "echo 1000\n")
    said = [checkout.boot_test()]
    checkout.add_python("id", "echo 0\n")
    for tool in tools.split():
        checkout.add_python(tool, "echo no >&2; exit 1\n")
    said.append(checkout.boot_test())

    assert [code for code, _ in said] == [0, 0]
    assert said[0][1] == "scripts/boot-test: skipped: not root; run: sudo scripts/boot-test\n"
    assert said[1][1].startswith("no\nscripts/boot-test: skipped: this machine does not let root")


def test_boots_need_their_programs(checkout: Checkout) -> None:
    """The program that is missing is named, and what installs it."""
    shutil.copy(ROOT / "scripts/boot-test", checkout.path / "scripts")
    checkout.add_python("id", "echo 0\n")
    script = (checkout.path / "scripts/boot-test").read_text()
    (checkout.path / "scripts/boot-test").write_text(script.replace(":/usr/sbin:/sbin", ""))

    code, error = checkout.boot_test()

    assert code == 0
    assert error == (
        "scripts/boot-test: skipped: apt-get is missing; scripts/install --servers installs it\n"
    )


def test_an_unknown_option_is_refused(checkout: Checkout) -> None:
    """A typing error does not install something else."""
    assert checkout.install("--server")[0] == 1


def test_every_script_can_be_run() -> None:
    """Each says what runs it, and is executable."""
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix]

    assert len(scripts) > 4
    for script in (*scripts, ROOT / ".ci" / "run"):
        assert script.read_text().startswith("#!/bin/"), script
        assert os.access(script, os.X_OK), script


def test_the_workflow_calls_what_everybody_calls() -> None:
    """What holds on GitHub is what holds here: .ci/run, and nothing beside it."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    (job,) = workflow["jobs"].values()

    steps = [step["run"] for step in job["steps"] if "run" in step]

    assert [step.partition("bash ")[2] for step in steps] == [".ci/run"]
