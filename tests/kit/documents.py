"""The documents of this project: their blocks, and how a reader runs them."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from dnssd.sandbox.sandbox import Sandbox, lead_into

ROOT = Path(__file__).parents[2]
README = "README.md"
REFERENCE = "dnssd/README.md"
IAM = "iam/README.md"
USER_DATA = "userdata/README.md"
FIGURES = "tests/benchmarks/README.md"
FOR_USERS = (README, REFERENCE, USER_DATA, IAM, FIGURES)
ALL = (*FOR_USERS, "CONTRIBUTING.md", "CHANGELOG.md")
ZONE_ID = "Z0123456789ABC"  # the documents' zone
PATIENCE = 60  # seconds until a test gives up; nothing waits that long


def text(document: str) -> str:
    """What a document says."""
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text(document), re.DOTALL | re.MULTILINE)


def recipes() -> list[str]:
    """The programs of the reference's recipes, each for itself."""
    return [block for block in blocks(REFERENCE, "python") if block in _recipes()]


def program(document: str) -> str:
    """The other Python blocks of a document: together they are one program."""
    parts = [block for block in blocks(document, "python") if block not in _recipes()]
    return "\n".join(parts)


def _recipes() -> str:
    return text(REFERENCE).partition("\n## Recipes\n")[2].partition("\n## ")[0]


def shell_lines(document: str, start: str = "") -> list[str]:
    """The commands of the `sh` blocks that start so, continued lines made one."""
    joined = [block.replace("\\\n    ", "") for block in blocks(document, "sh")]
    return [line for block in joined for line in block.splitlines() if line.startswith(start)]


def environment(sandbox: Sandbox) -> dict[str, str]:
    """A reader's environment, led into the sandbox, with the program under test on PATH."""
    return lead_into(sandbox.environment(), reader())


def reader() -> dict[str, str]:
    """A reader's environment, with the program under test on PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return dict(os.environ) | {"PATH": path}


def run(*command: str, env: Mapping[str, str], stdin: str = "") -> str:
    """What a program prints on stdout and stderr, once it has ended well."""
    completed = subprocess.run(
        command,
        env=env,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout
    return completed.stdout
