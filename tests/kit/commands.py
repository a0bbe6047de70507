"""Commands as tests run them: in this process, and what they did."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from dnssd.cli.main import run
from dnssd.sandbox.sandbox import Sandbox


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.out)


Command = Callable[..., Ran]


def commands(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `dnssd` with the arguments that it is given, as texts."""

    def command(*arguments: object) -> Ran:
        code = run([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr())

    return command


@pytest.fixture
def dnssd(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command in the sandbox's environment."""
    for key, value in sandbox.environment().items():
        monkeypatch.setenv(key, value)
    return commands(capsys)
