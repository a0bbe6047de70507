"""`dnssd user-data`: what makes a host join at every start and leave at every stop."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import click

from dnssd.cli.agent_file import tables_of, zones_of
from dnssd.cli.agent_options import agent_options
from dnssd.cli.host_life import ADDRESS_OPTIONS, JOIN_OPTIONS, check, life_of
from dnssd.cli.host_needs import check_zones, read_secrets, secret_option, warn_of_zones
from dnssd.cli.join_address import join_address_option
from dnssd.cli.options import Command, Option, check_nameserver, checked, option
from dnssd.cli.reporting import warn

EPILOG = """\b
Examples:
  dnssd user-data http --zone example.com,id=Z0123456789ABC --port 8080 \\
      --install https://example.com/dnssd-0.1.0-py3-none-any.whl#sha256=DIGEST > join.sh
  dnssd user-data http --zone example.com,id=Z0123456789ABC --port 8080 --format cloud-config \\
      --install git+https://example.com/dnssd@v0.1.0
  dnssd user-data http --zone example.com,id=Z0123456789ABC --port 8080 --format systemd
  dnssd user-data --join-address www.example.com --zone example.com,id=Z0123456789ABC \\
      --install git+https://example.com/dnssd@v0.1.0
"""
SPLAY = 3.0  # seconds: hosts that boot by themselves boot together


class _UserData(Command):
    """Has join's options, too, and --proxied of join-address; they come first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        (service, *own) = self.params
        service.required = False  # a file may say, or there is none
        proxied = [param for param in ADDRESS_OPTIONS if param.name == "proxied"]
        self.params = [service, *map(_unattended, JOIN_OPTIONS), *proxied, *own, *agent_options()]


def _unattended(param: Option) -> Option:
    """An option of join, as it suits a host on its own and somewhere else."""
    param = copy.copy(param)
    if param.name == "splay":
        param.default = SPLAY
    if param.name == "nameservers":
        param.callback = _readable
    if param.name in ("zone_addresses", "port"):
        param.required = False  # where a file has them
    return param


def _readable(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """Check name servers as join does; some names only the hosts know."""
    from dnssd.errors import Unavailable

    for nameserver in value:
        with contextlib.suppress(Unavailable):
            checked(check_nameserver)(ctx, param, nameserver)
    return value


@click.command("user-data", cls=_UserData, epilog=EPILOG)
@click.argument("service")
@join_address_option
@option(
    "--format",
    "form",
    type=click.Choice(["shell", "cloud-config", "systemd"]),
    default="shell",
    show_default=True,
    help="What to print; systemd is the unit alone, for a host with dnssd in /opt/dnssd/venv.",
)
@option(
    "--install",
    metavar="SOURCE",
    help="What pip installs as root: a wheel's address with its #sha256=DIGEST, its path on the "
    "host, or git+https://...  [required, but for --format systemd and --uninstall]",
)
@secret_option
@option("--uninstall", is_flag=True, help="Print what leaves and removes all of it.")
@option("--agent", is_flag=True, help="Keep the service in DNS only while it is healthy.")
@option("--config", metavar="FILE", help="With --agent: the services of the host, in TOML.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    service: str | None,
    form: str,
    install: str | None,
    uninstall: bool,
    agent: bool,
    config: str | None,
    **options: Any,
) -> None:
    """Print user-data with which a host joins at every start and leaves at every stop.

    It installs dnssd into /opt/dnssd, and a systemd unit that takes join's options: for a
    service, for the names of --join-address, or for both. With --agent the unit is an agent's,
    for the same or for what a file says; its options are those from --check on.
    """
    from dnssd.provisioning.userdata import Format, joining, keeping, uninstalling

    tables = tables_of(ctx, service, config, options) if agent else None
    if tables is None:
        check(ctx, service, config, options)
    zones = options["zone_addresses"] if tables is None else zones_of(tables)
    check_zones(zones, agent=agent)
    if uninstall:
        click.echo(uninstalling(Format(form), agent=agent), nl=False)
        return
    _check_install(form, install)
    secrets = read_secrets(options["secrets"], zones)
    if tables is None:
        text = joining(Format(form), life_of(service, options, install), secrets)
    else:
        text = keeping(Format(form), tables, install, secrets)
    click.echo(text, nl=False)
    warn_of_zones(zones, secrets)
    _warn_of_digest(install)


def _check_install(form: str, install: str | None) -> None:
    """No default: dnssd is on no package index, where its name is free for anyone to take."""
    if form == "systemd" and install:
        raise click.UsageError("--install: the unit alone installs nothing; leave it out")
    if form != "systemd" and not install:
        raise click.UsageError(
            "--install: hosts need to know where dnssd comes from; give "
            "--install https://ADDRESS/dnssd-VERSION-py3-none-any.whl#sha256=DIGEST, "
            "an absolute path on the host, or git+https://ADDRESS"
        )


def _warn_of_digest(install: str | None) -> None:
    from dnssd.names import shown
    from dnssd.provisioning.userdata import digest_of, is_digest

    digest = digest_of(install or "")
    if digest is not None and not is_digest(digest):
        warn(
            f"install {shown(install or '')}: its digest is none, so that no host will install "
            "it; put what 'sha256sum' prints for the wheel behind #sha256="
        )
