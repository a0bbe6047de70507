"""`dnssd user-data`: what makes a host join at every start and leave at every stop."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Mapping
from typing import Any

import click

from dnssd.cli.agent_file import check_without_agent, tables_of
from dnssd.cli.agent_options import agent_options
from dnssd.cli.join import command as join_command
from dnssd.cli.leave import command as leave_command
from dnssd.cli.options import (
    Command,
    Option,
    check_nameserver,
    check_target,
    checked,
    option,
    txt_pairs,
)
from dnssd.cli.reporting import warn

EPILOG = """\b
Examples:
  dnssd user-data http --zone example.com,id=Z0123456789ABC --port 8080 \\
      --install https://example.com/dnssd-0.1.0-py3-none-any.whl#sha256=DIGEST > join.sh
  dnssd user-data http --zone example.com,id=Z0123456789ABC --port 8080 --format cloud-config \\
      --install git+https://example.com/dnssd@v0.1.0
  dnssd user-data http --zone example.com,id=Z0123456789ABC --port 8080 --format systemd
"""
LEAVE_DEADLINE = "10"  # seconds: a host that shuts down has few
SPLAY = 3.0  # seconds: hosts that boot by themselves boot together
_AT_ONCE = {"dry_run", "as_json", "checks", "wait_healthy"}  # of join: for people
_INTERACTIVE = {
    "deadline",
    "wait",
    "nameservers",
    "force",
    "drain",
}  # of leave: for people, who have time


def _options(command: click.Command, leave_out: Iterable[str] = ()) -> list[Option]:
    return [
        param
        for param in command.params
        if isinstance(param, Option) and param.expose_value and param.name not in leave_out
    ]


JOIN_OPTIONS = _options(join_command, _AT_ONCE)
LEAVE_OPTIONS = _options(leave_command, {*_AT_ONCE, *_INTERACTIVE})


class _UserData(Command):
    """Has join's options, too; they come first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        (service, *own) = self.params
        service.required = False  # a file may say
        self.params = [service, *map(_unattended, JOIN_OPTIONS), *own, *agent_options()]


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

    It installs dnssd into /opt/dnssd, and a systemd unit that takes join's options. With
    --agent the unit is an agent's, for one service or for those in a file; its options are
    those from --check on.
    """
    from dnssd.provisioning.userdata import Format, keeping, uninstalling

    if agent:
        tables = tables_of(ctx, service, config, options)
    else:
        check_without_agent(ctx, config)
        service = _given(service, options)
        _check(service, options)
    if uninstall:
        click.echo(uninstalling(Format(form), agent=agent), nl=False)
        return
    _check_install(form, install)
    if agent:
        click.echo(keeping(Format(form), tables, install), nl=False)
    else:
        click.echo(_joining(form, service or "", install, options), nl=False)
        for zone_address in options["zone_addresses"]:
            _warn_of_zone(zone_address)
    _warn_of_digest(install)


def _joining(form: str, service: str, install: str | None, options: Mapping[str, Any]) -> str:
    """User-data for one service, without an agent."""
    from dnssd.provisioning.userdata import Format, Life, joining

    life = Life(
        join=("join", "-v", service, *_words(JOIN_OPTIONS, options)),
        leave=(
            *("leave", "-v", service, *_words(LEAVE_OPTIONS, options)),
            f"--deadline={LEAVE_DEADLINE}",
        ),
        deadline=options["deadline"],
        install=install,
    )
    return joining(Format(form), life)


def _given(service: str | None, options: Mapping[str, Any]) -> str:
    """The service; with it comes what only a file can take the place of."""
    if service is None:
        raise click.UsageError("missing argument 'SERVICE'")
    for name, variable in (("zone_addresses", "DNSSD_ZONE"), ("port", "DNSSD_USER_DATA_PORT")):
        if not options[name]:
            told = name.partition("_")[0]
            raise click.UsageError(f"missing option '--{told}' or {variable}")
    return service


def _words(known: Iterable[Option], values: Mapping[str, Any]) -> list[str]:
    """Command-line words for the values that are not the defaults of their options."""
    words = []
    for param in known:
        value = values[str(param.name)]
        if value is None or value is False or value == param.default:
            continue
        name = next(name for name in param.opts if name.startswith("--"))
        if value is True:
            words.append(name)
        else:
            words += [
                f"{name}={item}" for item in (value if isinstance(value, tuple) else (value,))
            ]
    return words


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


def _warn_of_zone(zone_address: str) -> None:
    from dnssd.names import shown
    from dnssd.zones.address import ZoneAddress

    address = ZoneAddress.parse(zone_address)
    if address.provider == "route53" and "id" not in address.options:
        warn(
            f"zone {shown(zone_address)}: without its ID hosts look it up by its name, which "
            f"'dnssd iam-policy' does not allow; write {address.text},id=Z..."
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


def _check(service: str, options: Mapping[str, Any]) -> None:
    """Find now what join would find wrong at every start."""
    from dnssd.registration.request import Registration
    from dnssd.services import DEFAULT_INSTANCE

    if options["lease"]:
        raise click.UsageError("--lease: nothing there would renew it; add --agent")
    host, target, txt = (options[name] for name in ("host", "target", "txt"))
    check_target(target, host, options["addresses"])
    addresses = options["addresses"] or (() if target else ("private",))
    Registration(
        service=service,
        instance=options["instance"] or DEFAULT_INSTANCE,
        port=options["port"],
        host=host or "i-0",  # the host will know, as it will its addresses (RFC 5737)
        target=target,
        addresses=["192.0.2.1" if a in ("private", "public") else a for a in addresses],
        txt=txt_pairs(txt) or None,
    )
