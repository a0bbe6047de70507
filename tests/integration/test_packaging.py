"""What a package index gets: a wheel and a source distribution that hold what they should."""

import email
import re
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from pathlib import Path

import pytest

import dnssd
from kit.documents import ROOT

TEMPLATES = "dnssd/provisioning/templates/"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, built from this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> dict[str, bytes]:
    """The wheel's files by name."""
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def metadata(wheel: dict[str, bytes]) -> Message:
    """What the wheel says of itself."""
    (text,) = (content for name, content in wheel.items() if name.endswith("/METADATA"))
    return email.message_from_bytes(text)


def test_a_wheel_holds_the_templates(wheel: dict[str, bytes]) -> None:
    """What is installed renders the files of userdata/, to the letter."""
    folder = ROOT / "userdata"
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "README.md"]

    held = {name: content for name, content in wheel.items() if name.startswith(TEMPLATES)}

    assert held == {TEMPLATES + str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_wheel_holds_the_package_and_nothing_else(wheel: dict[str, bytes]) -> None:
    """No tests, no documents of folders; the marker for type checkers and the license."""
    assert {name.partition("/")[0] for name in wheel} == {
        "dnssd",
        f"dnssd-{dnssd.__version__}.dist-info",
    }
    assert "dnssd/py.typed" in wheel
    assert not [name for name in wheel if name.endswith((".md", ".pyc"))]
    assert [name for name in wheel if name.endswith("licenses/LICENSE")]


def test_an_index_shows_who_and_where(wheel: dict[str, bytes]) -> None:
    """Version, authors and the addresses of the project."""
    told = metadata(wheel)

    assert told["Version"] == dnssd.__version__
    assert told["Author"] == "dnssd contributors"
    assert len(told.get_all("Project-URL", [])) >= 4


def test_pictures_and_links_of_the_description_work_on_an_index(wheel: dict[str, bytes]) -> None:
    """README alone is shown there, so that each link needs a whole address."""
    payload = metadata(wheel).get_payload(decode=True)
    assert isinstance(payload, bytes)
    description = payload.decode()
    links = re.findall(r"\]\(([^)]*)\)", description)

    assert re.search(r"!\[[^]]*\]\(https://[^)]*/raw/v[^)]*/overview.svg\)", description)
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert len(links) > 10


def test_a_source_distribution_holds_all_that_it_takes_to_test_it(built: Path) -> None:
    """Every file of the checkout that git knows, apart from git's own."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as packed:
        held = {name.partition("/")[2] for name in packed.getnames()}
    folders = ("dnssd", "scripts", "userdata", "iam", "tests", ".ci", ".github")

    here = {
        str(file.relative_to(ROOT))
        for folder in folders
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }

    assert here <= held
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "pyproject.toml"} <= held
