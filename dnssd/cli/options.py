"""Options that several commands share, and how options read the environment."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

_Function = TypeVar("_Function", bound=Callable[..., Any])
_log_settings: dict[str, Any] = {"verbosity": 0, "format": "text"}


class Option(click.Option):
    """An option that `DNSSD_<COMMAND>_<OPTION>` can give, or else a `shared` variable.

    Repeatable options split their variable at newlines. An error in a variable names it.
    """

    def __init__(self, *args: Any, shared: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shared = shared

    def variables(self, ctx: click.Context) -> list[str]:
        """The environment variables that are read, the specific one first."""
        long_name = next(opt for opt in self.opts if opt.startswith("--"))
        specific = f"{ctx.auto_envvar_prefix}_{long_name[2:].replace('-', '_').upper()}"
        return [specific, self.shared] if self.shared else [specific]

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """The value of the first variable that is set and not empty."""
        variable = self._variable(ctx)
        return os.environ[variable] if variable else None

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """That value, as lines where the option may be repeated."""
        value = self.resolve_envvar_value(ctx)
        if value is None or not self.multiple:
            return value
        return [line for line in value.splitlines() if line]

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Parse, and say which variable was wrong if it was one."""
        try:
            return super().handle_parse_result(ctx, opts, args)
        except click.BadParameter as error:
            from_variable = self.name not in opts and self._variable(ctx)
            if from_variable:
                error.param_hint = from_variable
            raise

    def _variable(self, ctx: click.Context) -> str | None:
        if not ctx.auto_envvar_prefix:
            return None
        for variable in self.variables(ctx):
            value = os.environ.get(variable)
            if not value:
                continue
            if value.startswith("tcp://") and variable.endswith("_PORT"):
                # Kubernetes sets such variables for each service of a namespace.
                warn(f"{variable}: ignored: {value!r} is a Kubernetes service link, no port")
                continue
            return variable
        return None


class Command(click.Command):
    """A command with the options that every command has."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(logging_options())


def logging_options() -> list[click.Parameter]:
    """`-v` and `--log-format`, which work before and after the command's name."""
    return [
        Option(
            ["-v", "--verbose"],
            count=True,
            expose_value=False,
            callback=_set_verbosity,
            help="Say more on stderr; twice for debugging.",
        ),
        Option(
            ["--log-format"],
            type=click.Choice(["text", "json"]),
            expose_value=False,
            callback=_set_log_format,
            help="How log lines are written.  [default: text]",
        ),
    ]


def option(*names: str, **settings: Any) -> Callable[[_Function], _Function]:
    """`click.option` with this project's environment rules (see `Option`)."""
    return click.option(*names, cls=Option, **settings)


def reset_logging() -> None:
    """Forget the options of an earlier command line in this process."""
    _log_settings.update(verbosity=0, format="text")


def start_logging() -> None:
    """Write the log to stderr; without `-v` only warnings."""
    from dnssd.cli import logs  # logging is not free to import, and --help has nothing to say

    logs.start(verbosity(), str(_log_settings["format"]))


def verbosity() -> int:
    """How many `-v` were given."""
    level: int = _log_settings["verbosity"]
    return level


def warn(message: str) -> None:
    """One line on stderr that does not end the command."""
    print("dnssd: " + " ".join(message.split()), file=sys.stderr)


def _set_verbosity(ctx: click.Context, param: click.Parameter, value: int) -> None:
    if value:
        _log_settings["verbosity"] = max(verbosity(), value)
        start_logging()


def _set_log_format(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value:
        _log_settings["format"] = value
        start_logging()


zone_option = option(
    "--zone",
    "zone_address",
    metavar="ADDRESS",
    shared="DNSSD_ZONE",
    required=True,
    help="Where the records live: a name, a hosted zone ID, or PROVIDER:NAME[,key=value]...",
)


def check_nameservers(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """Find now what a look-up would find wrong with name servers.

    Raises:
        BadParameter: One of them is not understood.
        Unavailable: The system does not know one of them.
    """
    if value:
        from dnssd.errors import UsageError
        from dnssd.wire.nameservers import NameServer

        try:
            NameServer.parse_all(value)
        except UsageError as error:
            raise click.BadParameter(str(error)) from error
    return value


nameserver_option = option(
    "--nameserver",
    "nameservers",
    metavar="HOST[:PORT]",
    multiple=True,
    shared="DNSSD_NAMESERVER",
    callback=check_nameservers,
    help="Ask this name server; may be repeated.  [default: the system's]",
)
instance_option = option(
    "--instance", default="default", show_default=True, help="The service instance."
)
host_option = option(
    "--host", metavar="LABEL", help="This host's label.  [default: from metadata or its name]"
)
wait_option = option("--wait", is_flag=True, help="Return only once the change is being served.")
dry_run_option = option("--dry-run", is_flag=True, help="Show the changes, make none.")
json_option = option("--json", "as_json", is_flag=True, help="Print JSON, an object a line.")
