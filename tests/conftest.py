"""What every test relies on: nothing leads beyond this machine."""

import gc
import itertools
import logging
import os
import random
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from dnssd.cli.reporting import reset_reporting
from dnssd.sandbox.sandbox import Sandbox
from kit.models import read_once

pytest_plugins = ["kit.commands", "kit.everyzone", "kit.web"]  # their fixtures

# Run in the background by a shell, this process ignores Ctrl-C, and so would its children.
signal.signal(signal.SIGINT, signal.default_int_handler)

read_once()
settings.register_profile("dnssd", deadline=None)  # a busy machine is not a bug
settings.load_profile("dnssd")

_numbers = itertools.count()
_OF_HTTP = ("http_proxy", "https_proxy", "all_proxy", "requests_ca_bundle", "curl_ca_bundle")


def pytest_collection_finish() -> None:
    """Thousands of tests stay until the end: collecting garbage need not look at them each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting of whoever runs the tests reaches them: no account, no proxy, no default.

    What a test keeps of a join is its own: the folder is made when it is first written to.
    """
    for name in list(os.environ):
        if name.startswith(("AWS_", "BOTO_", "DNSSD_")) or name.lower() in _OF_HTTP:
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    state = tmp_path_factory.getbasetemp() / f"state-{next(_numbers)}"
    monkeypatch.setenv("DNSSD_STATE", str(state))


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """What `-v` has set ends with its test: the level, and a handler on a stderr closed by then."""
    log = logging.getLogger("dnssd")
    before = log.handlers[:], log.level
    yield
    reset_reporting()
    if (log.handlers, log.level) != before:
        log.handlers[:] = before[0]
        log.setLevel(before[1])


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Route 53, DNS and instance metadata on loopback, serving `example.test`."""
    with Sandbox(rng=random.Random(0)) as running:
        yield running
