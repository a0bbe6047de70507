"""A process that a test kills: preloaded in the fork server, so that each one starts quickly."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import boto3  # noqa: F401 (slow to import: once, in the fork server, is enough)

import dnssd.cli.hints
import dnssd.cli.join
import dnssd.cli.leave
import dnssd.cli.registering
import dnssd.zones.cloudflare.client
import dnssd.zones.route53.zone
from dnssd.cli.main import run
from dnssd.deadline import Deadline


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run the `dnssd` command in this process, with nothing but `environment`."""
    defaults: dict[str, Any] = Deadline.__init__.__kwdefaults__ or {}
    defaults["sleep"] = lambda seconds: None  # back-off is tested elsewhere; here it only waits
    dnssd.cli.hints.HINT_SECONDS = 0.01  # nobody answers
    os.environ.clear()
    os.environ.update(environment)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (ends with the process)
    os._exit(run(arguments))
