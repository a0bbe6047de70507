"""What every command does with its environment and with errors, before anybody is asked."""

import json
import signal
import subprocess
import sys

import click
import pytest

from dnssd.cli.failures import Failure, Terminated
from dnssd.cli.main import run
from dnssd.cli.options import Command, Option
from dnssd.errors import AccessDenied, NotFound, RRsetFull, UsageError
from dnssd.zones.route53.errors import MalformedCredentials

ZONE = ("--zone", "example.test,id=Z0123456789ABC")
LEAVE = ("leave", "http", *ZONE)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for a zone has understood everything before."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", "http://127.0.0.1:1")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which a command refuses."""
    assert run(arguments) == 2
    output, error = capsys.readouterr()
    assert (output, error.count("\n")) == ("", 1)
    return error


@pytest.mark.parametrize(
    ("variable", "value", "arguments"),
    [
        ("DNSSD_ZONE", "a..b", ("leave", "http")),
        ("DNSSD_LEAVE_ZONE", "no:example.com", ("leave", "http")),
        ("DNSSD_ZONE", "example.com example.com", ("status", "http")),
        ("DNSSD_ZONE", "example.com\nexample.org", ("uninstall-records", "http")),
        ("DNSSD_INSTANCE", "a\nb", LEAVE),
        ("DNSSD_LEAVE_INSTANCE", "x" * 64, LEAVE),
        ("DNSSD_LEAVE_HOST", "a.b", LEAVE),
        ("DNSSD_LEAVE_PORT", "eighty", LEAVE),
        ("DNSSD_LEAVE_CLOUD", "none", LEAVE),
        ("DNSSD_LEAVE_DEADLINE", "soon", LEAVE),
        ("DNSSD_LEAVE_DRY_RUN", "perhaps", LEAVE),
        ("DNSSD_LEAVE_VERBOSE", "much", LEAVE),
        ("DNSSD_NAMESERVER", "127.0.0.1 ns:x", LEAVE),
        ("DNSSD_JOIN_ADDRESS", "nonsense", ("join", "http", *ZONE, "--port", "80")),
        ("DNSSD_JOIN_TARGET", "a..b", ("join", "http", *ZONE, "--port", "80")),
        ("DNSSD_JOIN_TXT", "=a", ("join", "http", *ZONE, "--port", "80")),
        ("DNSSD_DOMAIN", "a..b", ("lookup", "http")),
        ("DNSSD_ZONE", "a..b", ("lookup", "http")),
        ("DNSSD_LOOKUP_POLICY", "best", ("lookup", "http", "--domain", "example.test")),
    ],
)
def test_a_malformed_variable_is_named(
    variable: str,
    value: str,
    arguments: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is wrong with it, exit 2 and the name of what to correct."""
    monkeypatch.setenv(variable, value)

    assert variable in refused(capsys, *arguments)


def test_a_missing_option_names_what_would_do(capsys: pytest.CaptureFixture[str]) -> None:
    """The option, and the variable that several commands read."""
    assert "missing option '--zone' or DNSSD_ZONE" in refused(capsys, "leave", "http")


def parsed(option: Option, arguments: list[str]) -> object:
    """What a command makes of its arguments."""
    command = Command("test", params=[option])
    parent = click.Context(click.Group("dnssd"), auto_envvar_prefix="DNSSD")
    return command.make_context("test", arguments, parent).params["value"]


@pytest.mark.parametrize(("words", "expected"), [(True, ("a", "b", "c")), (False, ("a b", "c"))])
def test_repeatable_options_split_their_variable(
    words: bool, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At white space where no value holds a blank, else at newlines."""
    option = Option(["--value"], multiple=True, words=words, shared="DNSSD_VALUE")
    monkeypatch.setenv("DNSSD_VALUE", "a b\n\nc\n")

    assert parsed(option, []) == expected
    assert parsed(option, ["--value", "d e"]) == ("d e",)
    monkeypatch.setenv("DNSSD_TEST_VALUE", "f")
    assert parsed(option, []) == ("f",)


def test_a_link_of_kubernetes_is_no_value(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service called dnssd-test sets it in every pod of its namespace."""
    monkeypatch.setenv("DNSSD_TEST_PORT", "tcp://10.0.0.1:80")

    option = Option(["--port", "value"], type=int, default=5)

    assert parsed(option, []) == 5
    assert "DNSSD_TEST_PORT: ignored" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("lookup", "http", "--json"),
        ("lookup", "--json", "--nothing"),
        ("leave", "--json", "http", "--zone", "a..b"),
        ("whoami", "--cloud", "none", "--json"),
    ],
)
def test_an_error_is_json_where_the_result_would_be(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """One document on stdout, and the same words on stderr; a usage error too."""
    assert run(arguments) == 2

    output, error = capsys.readouterr()
    told = json.loads(output)["error"]
    assert told["kind"] in ("UsageError", "MalformedName")
    assert error == f"dnssd: {told['message']}\n"


def test_json_may_be_asked_for_by_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of another option is JSON then, too."""
    monkeypatch.setenv("DNSSD_LEAVE_JSON", "1")

    assert run(["leave", "http", "--zone", "a..b"]) == 2

    assert set(json.loads(capsys.readouterr().out)) == {"error"}


def test_an_error_in_a_stream_is_its_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    """An event like the others."""
    assert run(["watch", "--json", "http", "--domain", "a..b"]) == 2

    told = json.loads(capsys.readouterr().out)
    assert (told["event"], told["error"]["kind"]) == ("error", "UsageError")


def test_errors_are_logged_as_json_where_the_log_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever collects the log reads each line of stderr the same way."""
    assert run(["--log-format", "json", "lookup", "http", "--domain", "a..b"]) == 2

    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["logger"]) == ("error", "dnssd")
    assert "a label is empty" in line["message"]


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (UsageError("a"), 2, "UsageError"),
        (click.UsageError("a"), 2, "UsageError"),
        (NotFound("a"), 3, "NotFound"),
        (RRsetFull("a"), 4, "RRsetFull"),
        (AccessDenied("a"), 1, "AccessDenied"),
        (MalformedCredentials("a"), 2, "UsageError"),
        (KeyboardInterrupt(), 130, "Interrupted"),
        (Terminated(), 130, "Interrupted"),
        (BrokenPipeError(), 1, "Unavailable"),
        (OSError(28, "No space left on device"), 1, "Unavailable"),
    ],
)
def test_each_failure_has_a_code_and_a_kind(error: BaseException, code: int, kind: str) -> None:
    """The kind is a class that `dnssd.errors` has, or Interrupted."""
    failure = Failure.of(error)

    assert failure is not None
    assert (failure.code, failure.kind) == (code, kind)


def test_what_an_interrupt_leaves_true_is_told() -> None:
    """By whoever was interrupted, in the exception's arguments."""
    failure = Failure.of(KeyboardInterrupt("it is announced, not published"))

    assert failure is not None
    assert failure.message == "interrupted; it is announced, not published"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_with_130(number: signal.Signals) -> None:
    """SIGTERM like Ctrl-C: a traceback for neither, and JSON if that was asked for."""
    program = (
        "import os, sys, dnssd.cli.main as m\n"
        f"m._Commands.get_command = lambda *_: os.kill(os.getpid(), {number:d})\n"
        "m.main(['whoami', '--json'])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert (ended.returncode, ended.stderr.strip()) == (130, "")
    assert json.loads(ended.stdout)["error"]["kind"] == "Interrupted"
