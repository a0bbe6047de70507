"""The `dnssd` command: finds the command's module, and turns errors into one line and a code."""

import contextlib
import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from dnssd.cli.failures import Failure, Terminated
from dnssd.cli.options import Command, logging_options
from dnssd.cli.reporting import is_stream, reset_reporting, say, verbosity, wants_json

COMMANDS = {
    "join": "Register this host as a member of a service instance.",
    "leave": "Take this host's members out again.",
    "rejoin": "Join again as this host had joined, in a zone made anew.",
    "run": "Run a program that is in DNS while it is healthy.",
    "agent": "Keep services in DNS while they are healthy.",
    "join-address": "Put this host's address among those of a name.",
    "leave-address": "Take this host's address out of those of a name.",
    "status": "Show the members of an instance, a service or the zone.",
    "reap": "Take out members that are dead.",
    "uninstall-records": "Remove everything this tool wrote for a service.",
    "lookup": "Find a service's endpoints, or pick one.",
    "browse": "List service types, or the instances of one.",
    "watch": "Tell what happens to a service, as it happens.",
    "bridge": "Keep HAProxy's servers equal to services.",
    "export": "Write services as a proxy's or Prometheus' configuration.",
    "whoami": "Show who this host is, and who says so.",
    "user-data": "Print what makes hosts join and leave by themselves.",
    "iam-policy": "Print the least that hosts must be allowed on Route 53.",
    "sandbox": "Run Route 53, DNS and instance metadata locally.",
}

EPILOG = """\b
Examples:
  dnssd join http --zone example.com --port 8080 --instance web
  dnssd lookup web._http._tcp.example.com
  dnssd leave http --zone example.com --instance web
  dnssd sandbox -- sh    # a shell where all of this works at once

Each option may also come from the environment, as DNSSD_<COMMAND>_<OPTION>.
"""


class _Commands(click.Group):
    """Loads a command's module only when that command runs: start-up time is a feature."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(logging_options())

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module("dnssd.cli." + cmd_name.replace("-", "_"))
        command = module.command
        assert isinstance(command, Command)  # noqa: S101 (each module is ours)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from dnssd.version import __version__

        click.echo(f"dnssd {__version__}")
        ctx.exit()


@click.group(
    cls=_Commands,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    allow_from_autoenv=False,
    help="Show the version and exit.",
)
def group() -> None:
    """Register services in authoritative DNS, and find them again."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: the codes are in README's table."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line; return its exit code."""
    reset_reporting()
    if sys.stderr is None:  # closed by whoever runs this: print would turn to stdout, for results
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (as long as this runs)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # any letter, on any terminal
    try:
        code = group.main(
            list(arguments), "dnssd", standalone_mode=False, auto_envvar_prefix="DNSSD"
        )
        if sys.stdout is not None:
            sys.stdout.flush()  # while an error can still be told
        return code if isinstance(code, int) else 0  # of ctx.exit(); commands return None
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return 2
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        failure = Failure.of(error)
        if failure is None:
            raise
        _report(error, failure, arguments)
        return failure.code


def _terminate(number: int, frame: object) -> NoReturn:
    raise Terminated


def _report(error: BaseException, failure: Failure, arguments: Sequence[str]) -> None:
    """Tell a failure: a line on stderr, and a document on stdout where JSON was asked for."""
    if verbosity() >= 2:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, OSError):
        with contextlib.suppress(OSError):
            sys.stdout.close()  # what is left in it would fail again, and be told by Python
    elif wants_json(arguments):
        _print_json(failure)
    if failure.message:
        say("error", failure.message)


def _print_json(failure: Failure) -> None:
    from dnssd.cli.output import print_json

    error = {"error": failure.as_json()}
    with contextlib.suppress(OSError):
        print_json({"event": "error"} | error if is_stream() else error)
        sys.stdout.flush()
