"""Every public name has an example that runs: in its docstring, or in dnssd/README.md."""

import asyncio
import doctest
import inspect
import re
import time
from collections.abc import Iterator

import pytest

import dnssd
from dnssd import Registration, join, open_zone
from dnssd.sandbox.sandbox import Sandbox, lead_into
from kit.documents import README, REFERENCE, blocks

PUBLIC = {name: getattr(dnssd, name) for name in dnssd.__all__}
INTERNAL = {"wish_in", "departure_in"}  # what the package itself asks of a Registration


@pytest.fixture
def inside(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the examples say of where they run: the sandbox, with web-1 in it."""
    for name, value in lead_into(sandbox.environment(), {}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    web = Registration(
        service="http",
        instance="web",
        port=8080,
        host="web-1",
        addresses=["10.0.0.5"],
        txt={"version": "1"},
    )
    join(open_zone("example.test"), web)


def examples() -> Iterator[doctest.DocTest]:
    """The examples of the package, of each public name and of its methods."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    known = {**PUBLIC, "asyncio": asyncio, "time": time}
    yield from finder.find(dnssd, "dnssd", module=False, globs=dict(known))[:1]
    for name, value in PUBLIC.items():
        yield from finder.find(value, name, module=False, globs=dict(known))


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize(
    "example", [example for example in examples() if example.examples], ids=lambda e: e.name
)
def test_the_example_runs(example: doctest.DocTest) -> None:
    """It prints what it shows."""
    said: list[str] = []

    result = doctest.DocTestRunner().run(example, out=said.append)

    assert result.failed == 0, "".join(said)


def names() -> Iterator[str]:
    """Each name of the package without an example of its own, and the methods of its classes."""
    own = {test.name for test in examples() if test.examples}
    yield from set(PUBLIC) - own
    for value in filter(inspect.isclass, PUBLIC.values()):
        for name, member in vars(value).items():
            is_method = inspect.isfunction(member) or isinstance(member, property | staticmethod)
            if is_method and not name.startswith("_"):
                yield name


def test_every_public_name_is_in_an_example() -> None:
    """In its own, in another one, or in a block of the documents."""
    shown = [example.source for test in examples() for example in test.examples]
    code = "\n".join([*shown, *blocks(README, "python"), *blocks(REFERENCE, "python")])

    assert set(names()) - set(re.findall(r"\w+", code)) - INTERNAL == set()
