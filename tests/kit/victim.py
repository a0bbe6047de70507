"""A process that a test kills: preloaded in the fork server, so that each one starts quickly."""

import importlib
import os
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import boto3

import dnssd.cli.hints
import dnssd.hosts
import dnssd.registration
import dnssd.zones.route53
from dnssd.cli.main import run
from dnssd.deadline import Deadline
from kit.models import read_once

# All that a command imports on its way, and botocore's models: once, in the fork server.
for package in (dnssd.cli, dnssd.hosts, dnssd.registration, dnssd.zones.route53):
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
read_once()
boto3.Session().client("route53", region_name="us-east-1")


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run the `dnssd` command in this process, with nothing but `environment`."""
    defaults: dict[str, Any] = Deadline.__init__.__kwdefaults__ or {}
    defaults["sleep"] = lambda seconds: None  # back-off is tested elsewhere; here it only waits
    dnssd.cli.hints.HINT_SECONDS = 0.01  # nobody answers
    os.environ.clear()
    os.environ.update(environment)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (ends with the process)
    os._exit(run(arguments))
