"""Options that several commands share, and how options read the environment."""

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from dnssd.cli.reporting import set_json, set_log_format, set_verbosity, warn

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Option(click.Option):
    """An option that `DNSSD_<COMMAND>_<OPTION>` can give, or else a `shared` variable.

    An error in a variable names it, and a missing option names the variables that would do.

    Attributes:
        shared: The variable of several commands; None for none.
        words: Whether the variable of a repeatable option is split at white space, not at
            newlines alone: where no value can hold a blank.
    """

    def __init__(
        self, *args: Any, shared: str | None = None, words: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.shared = shared
        self.words = words

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
        """That value, as words or lines where the option may be repeated."""
        value = self.resolve_envvar_value(ctx)
        if value is None or not self.multiple:
            return value
        return value.split() if self.words else [line for line in value.splitlines() if line]

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Parse, and say which variable was wrong if it was one."""
        try:
            return super().handle_parse_result(ctx, opts, args)
        except click.MissingParameter as error:
            error.param_hint = " or ".join((f"'{self.opts[0]}'", *self.variables(ctx)[-1:]))
            raise
        except click.BadParameter as error:
            if self.name not in opts and (variable := self._variable(ctx)):
                error.param_hint = variable
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


def _set_verbosity(ctx: click.Context, param: click.Parameter, value: int) -> None:
    if value:
        set_verbosity(value)


def _set_log_format(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value:
        set_log_format(value)


def _set_json(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    if value:
        set_json(is_stream=ctx.info_name == "watch")
    return value


def checked(check: Callable[[str], object]) -> Callable[..., Any]:
    """A callback that finds now what the command would find wrong with an option later.

    Args:
        check: Raises UsageError for a value that is wrong; what it returns is not used.
    """

    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        from dnssd.errors import UsageError

        try:
            for each in value if isinstance(value, tuple) else (value,):
                if each is not None:
                    check(each)
        except UsageError as error:
            raise click.BadParameter(str(error), ctx, param) from error
        return value

    return callback


def check_nameserver(text: str) -> None:
    """Find now what a look-up would find wrong with a name server.

    Raises:
        UsageError: It is not understood.
        Unavailable: The system does not know its name.
    """
    from dnssd.wire.nameservers import NameServer

    NameServer.parse_all((text,))


def _check_instance(text: str) -> None:
    from dnssd.services import parse_instance

    parse_instance(text)


def _check_host(text: str) -> None:
    from dnssd.services import parse_host_label

    parse_host_label(text)


def _check_address(text: str) -> None:
    from dnssd.registration.request import parse_address

    if text not in ("private", "public"):
        parse_address(text)


def address_option(usual: str) -> Callable[[_Function], _Function]:
    """`--address`.

    Args:
        usual: What the zone gets where nobody says.
    """
    return option(
        "--address",
        "addresses",
        metavar="private|public|IP",
        multiple=True,
        words=True,
        callback=checked(_check_address),
        help=f"The host's address; may be repeated.  [default: {usual}]",
    )


nameserver_option = option(
    "--nameserver",
    "nameservers",
    metavar="HOST[:PORT]",
    multiple=True,
    words=True,
    shared="DNSSD_NAMESERVER",
    callback=checked(check_nameserver),
    help="Ask this name server; may be repeated.  [default: the system's]",
)
instance_option = option(
    "--instance",
    metavar="NAME",
    shared="DNSSD_INSTANCE",
    callback=checked(_check_instance),
    help="The service instance.  [default: default]",
)
host_option = option(
    "--host",
    metavar="LABEL",
    callback=checked(_check_host),
    help="This host's label.  [default: from metadata or its name]",
)
timeout_option = option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a look-up may take.",
)
splay_option = option(
    "--splay",
    type=click.FloatRange(min=0),
    default=0,
    show_default=True,
    metavar="SECONDS",
    help="Wait a random part of it, for hosts that boot together.",
)


def deadline_option(usual: float) -> Callable[[_Function], _Function]:
    """How long a command may take; `usual` seconds by default."""
    return option(
        "--deadline",
        type=click.FloatRange(min=0, min_open=True),
        default=usual,
        show_default=True,
        metavar="SECONDS",
        help="Give up after this.",
    )


wait_option = option("--wait", is_flag=True, help="Return only once the change is being served.")
dry_run_option = option("--dry-run", is_flag=True, help="Show the changes, make none.")
json_option = option(
    "--json",
    "as_json",
    is_flag=True,
    is_eager=True,  # an error in any other option is told as JSON, too
    callback=_set_json,
    help="Print JSON, an object a line.",
)


def check_target(target: str | None, host: str | None, addresses: tuple[str, ...]) -> None:
    """Whether a target, if one is given, stands alone.

    Raises:
        UsageError: It does not.
    """
    if host and target:
        raise click.UsageError("--host and --target exclude each other")
    if target and addresses:
        raise click.UsageError("--target has its own addresses: leave out --address")


def txt_pairs(txt: tuple[str, ...]) -> dict[str, str | None]:
    """TXT data by key; None for a key without a value.

    Raises:
        UsageError: A key is given twice.
    """
    pairs: dict[str, str | None] = {}
    for text in txt:
        key, equals, value = text.partition("=")
        if key in pairs:
            raise click.BadParameter(f"{key}: given twice", param_hint="'--txt'")
        pairs[key] = value if equals else None
    return pairs
