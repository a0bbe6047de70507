"""scripts/install finds a Python, installs once, and says in one line what is wrong."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SYSTEM = ("sh", "cat", "dirname", "grep", "mkdir", "chmod")
OLD = "exit 1\n"  # a Python before 3.11, or a shim for none
BARE = 'case "$2" in *ensurepip*) exit 1;; esac\n'  # Debian's without python3-venv
WHOLE = """
case "$1" in -c) exit 0;; esac  # otherwise -m venv --clear FOLDER
mkdir -p $4/bin
for tool in python pip; do
    echo '#!/bin/sh' >$4/bin/$tool
    chmod +x $4/bin/$tool
done
cat >>$4/bin/pip <<END
case "\\$1" in --version) echo "pip 1 from $(pwd)/$4/lib";; *) echo "pip \\$*"; $PIP;; esac
END
"""


class Checkout:
    """A checkout whose machine has the Pythons that a test gives it."""

    def __init__(self, path: Path) -> None:
        self.path = path / "checkout"
        self.bin = path / "bin"
        for folder in (self.path / "scripts", self.path / "dnssd", self.bin):
            folder.mkdir(parents=True)
        for name in ("scripts/install", "dnssd/__init__.py", "pyproject.toml"):
            shutil.copy(ROOT / name, self.path / name)
        for tool in SYSTEM:
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)

    def add_python(self, name: str, script: str) -> None:
        """Put a Python on PATH."""
        python = self.bin / name
        python.write_text("#!/bin/sh\n" + script)
        python.chmod(0o755)

    def install(self, *arguments: str, pip: str = "exit 0") -> tuple[int, str, str]:
        """Run scripts/install from elsewhere; exit code, stdout and stderr."""
        completed = subprocess.run(
            [self.path / "scripts" / "install", *arguments],
            cwd=self.bin,
            env={"PATH": str(self.bin), "PIP": pip},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return completed.returncode, completed.stdout, completed.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout on a machine without Python."""
    return Checkout(tmp_path)


def test_no_python_is_one_clear_line(checkout: Checkout) -> None:
    """Older ones, and shims that lead nowhere, are none."""
    checkout.add_python("python3.12", OLD)
    checkout.add_python("python3", OLD)

    code, _, error = checkout.install()

    assert (code, error) == (
        1,
        "scripts/install: Python 3.11 or newer: not found; install it and put python3 on PATH\n",
    )


def test_a_python_without_venv_is_named(checkout: Checkout) -> None:
    """The line says which package is missing."""
    checkout.add_python("python3", BARE)

    code, _, error = checkout.install()

    assert (code, error.count("\n")) == (1, 1)
    assert error.startswith("scripts/install: python3: it has no venv or ensurepip;")
    assert "apt-get install python3-venv" in error


def test_it_installs_once_and_again_after_a_change(checkout: Checkout) -> None:
    """A second run is quick; another pyproject.toml or version is installed."""
    checkout.add_python("python3.13", BARE)
    checkout.add_python("python3.11", WHOLE)
    installed = "pip install --quiet --disable-pip-version-check -e .[dev]\n"

    assert checkout.install()[:2] == (0, installed)
    assert checkout.install() == (0, "", "")

    for name in ("pyproject.toml", "dnssd/__init__.py"):
        with (checkout.path / name).open("a") as file:
            file.write("\n__version__ = 'changed'\n")
        assert checkout.install()[:2] == (0, installed)
        assert checkout.install() == (0, "", "")


def test_a_checkout_that_moves_is_installed_anew(checkout: Checkout) -> None:
    """Scripts in .venv/bin name the Python they were made for."""
    checkout.add_python("python3", WHOLE)
    checkout.install()
    checkout.path = checkout.path.rename(checkout.path.with_name("moved"))

    assert checkout.install()[1].startswith("pip install")
    assert str(checkout.path) in (checkout.path / ".venv/bin/pip").read_text()


def test_a_failed_installation_is_not_taken_for_one(checkout: Checkout) -> None:
    """It says so, and the next run tries again."""
    checkout.add_python("python3", WHOLE)

    code, _, error = checkout.install(pip="exit 1")

    assert code == 1
    assert "scripts/install: pip could not install dnssd" in error
    assert checkout.install(pip="exit 1")[0] == 1


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
    """Where BIND's tools are, nothing but pip is needed; failing, they are only missed."""
    checkout.add_python("python3", WHOLE)
    for tool in ("dig", "named-checkzone"):
        checkout.add_python(tool, "exit 0\n")
    clients = "pip install --quiet --disable-pip-version-check awscli octodns octodns-route53\n"
    checkout.install()

    code, out, error = checkout.install("--servers", pip="exit 1")
    assert (code, out) == (0, clients)
    assert "their tests are skipped" in error

    assert checkout.install("--servers")[:2] == (0, clients)
    assert checkout.install("--servers") == (0, "", "")
    assert (checkout.path / ".venv-tools/bin/pip").exists()


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
