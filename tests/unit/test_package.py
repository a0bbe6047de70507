"""The package as others see it: what importing costs, what it offers, what it reads."""

import ast
import importlib.metadata
import inspect
import re
import ssl
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import mypy.api
import pytest

import dnssd
from dnssd.cli.main import COMMANDS, group, run
from dnssd.cli.options import Option
from dnssd.resolver.handshakes import EndpointTlsSocket
from kit.documents import FOR_USERS, text

DOCUMENTS = "\n".join(text(document) for document in FOR_USERS)
HEAVY = ("boto3", "botocore", "requests", "dns", "click")
SHARED = {"DNSSD_ZONE", "DNSSD_DOMAIN", "DNSSD_NAMESERVER", "DNSSD_INSTANCE"}
LOGGING = "VERBOSE LOG_FORMAT"
AGENT = (
    "ZONE PORT INSTANCE HOST CLOUD TARGET ADDRESS PRIORITY WEIGHT TTL TXT SPLAY NAMESERVER "
    "TAKEOVER CHECK INTERVAL TIMEOUT RISE FALL START_PERIOD DRAIN LOAD HAPROXY_AGENT METRICS "
    "METRICS_FILE COMPLETE_HOOK LEAVE_ON_EXIT LEASE JOIN_ADDRESS PLAIN_NAME"
)
VARIABLES = {  # of each command, behind DNSSD_ and its name
    "": LOGGING,
    "join": "ZONE PORT INSTANCE HOST CLOUD TARGET ADDRESS PRIORITY WEIGHT TTL TXT LEASE SPLAY "
    f"CHECK WAIT_HEALTHY DEADLINE WAIT NAMESERVER TAKEOVER PLAIN_NAME DRY_RUN JSON {LOGGING}",
    "leave": "ZONE PORT INSTANCE HOST CLOUD FORCE DRAIN DEADLINE WAIT NAMESERVER "
    f"DRY_RUN JSON {LOGGING}",
    "rejoin": f"ZONE {LOGGING}",
    "run": f"{AGENT} TERM_FIRST {LOGGING}",
    "agent": f"{AGENT} CONFIG CHECK_CONFIG {LOGGING}",
    "join-address": "ZONE HOST CLOUD ADDRESS PROXIED TTL SPLAY DEADLINE WAIT TAKEOVER DRY_RUN "
    f"JSON {LOGGING}",
    "leave-address": f"ZONE HOST CLOUD FORCE DEADLINE WAIT DRY_RUN JSON {LOGGING}",
    "status": f"ZONE INSTANCE JSON {LOGGING}",
    "reap": f"ZONE PROBE LIMIT YES JSON {LOGGING}",
    "uninstall-records": f"ZONE LIMIT YES JSON {LOGGING}",
    "lookup": f"DOMAIN NAMESERVER TIMEOUT WAIT PICK ALL TARGET POLICY PREFER JSON {LOGGING}",
    "browse": f"DOMAIN NAMESERVER TIMEOUT JSON {LOGGING}",
    "watch": f"DOMAIN NAMESERVER TIMEOUT EXEC JSON {LOGGING}",
    "bridge": f"OUTPUT SOCKET SLOTS EXEC DOMAIN NAMESERVER TIMEOUT {LOGGING}",
    "export": f"FORMAT OUTPUT WATCH EXEC DOMAIN NAMESERVER TIMEOUT {LOGGING}",
    "whoami": f"CLOUD JSON {LOGGING}",
    "user-data": f"{AGENT} DEADLINE WAIT JOIN_ADDRESS PROXIED FORMAT INSTALL SECRET UNINSTALL "
    f"AGENT CONFIG {LOGGING}",
    "iam-policy": "ZONE JOIN_ADDRESS INSTANCE HOST_PATTERN WAIT PLAIN_NAME AGENT REAP "
    f"PARTITION {LOGGING}",
    "sandbox": "SERVE API_PORT DNS_PORT METADATA_PORT BIND INSTANCE_ID PRIVATE_IP PUBLIC_IP "
    f"RATE BURST BUSY FAULTS SEED STATE POLICY {LOGGING}",
}


def loaded_by(program: str) -> set[str]:
    """The top-level modules that a Python program has loaded when it ends."""
    script = f"import sys\ntry:\n    {program}\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    completed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    return {name.partition(".")[0] for name in completed.stderr.splitlines()[-1].split()}


def run_command(*arguments: str) -> str:
    """A program that runs the command line."""
    return f"from dnssd.cli.main import main; main({list(arguments)!r})"


def test_importing_the_package_loads_nothing_else() -> None:
    """`import dnssd` costs its importer next to nothing."""
    assert loaded_by("import dnssd").isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("lookup", "--help"),
        ("lookup", "--nameserver", "127.0.0.1:1", "web._http._tcp.example.test"),
        ("browse", "--nameserver", "127.0.0.1:1", "--domain", "example.test"),
    ],
    ids=" ".join,
)
def test_looking_up_needs_no_boto3(arguments: tuple[str, ...]) -> None:
    """The AWS client takes longer to load than a look-up takes, and so does dnspython."""
    loaded = loaded_by(run_command(*arguments))

    assert loaded >= {"dnssd", "click"}
    assert loaded.isdisjoint({"boto3", "botocore", "requests", "dns"})


def test_a_function_needs_what_lambda_has_and_nothing_else() -> None:
    """The wheel alone is its package: boto3 is in Lambda's runtime."""
    address = "example.com,id=Z0123456789ABC"
    loaded = loaded_by(f"import dnssd; dnssd.lambda_handler; dnssd.open_zone({address!r})")

    assert loaded >= {"boto3", "dnssd"}
    assert loaded.isdisjoint({"requests", "dns", "click"})


def test_every_public_name_is_there_and_listed() -> None:
    """What `__all__` names can be used, and `dir` shows it before."""
    assert sorted(dnssd.__all__) == list(dnssd.__all__)
    assert set(dnssd.__all__) <= set(dir(dnssd))
    for name in dnssd.__all__:
        assert getattr(dnssd, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        dnssd.nothing  # type: ignore[attr-defined]  # noqa: B018 (the access is what is tested)


def public_callables() -> Iterator[tuple[str, Callable[..., object]]]:
    """Every public function and every public method of a public class, by name."""
    for name in dnssd.__all__:
        value = getattr(dnssd, name)
        if not inspect.isclass(value):
            yield name, value
            continue
        for attribute, member in vars(value).items():
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if inspect.isfunction(function) and not attribute.startswith("_"):
                yield f"{name}.{attribute}", function


def test_every_public_name_is_documented() -> None:
    """`help()` says something of each class, method, property and function."""
    documented = dict(public_callables()) | {n: getattr(dnssd, n) for n in dnssd.__all__}

    assert len(documented) > 20
    assert [name for name, value in documented.items() if not inspect.getdoc(value)] == []


def test_every_public_name_is_typed() -> None:
    """Each parameter and each result has an annotation that resolves; py.typed tells so."""
    loaded_late = {"SSLContext": ssl.SSLContext, "EndpointTlsSocket": EndpointTlsSocket}
    for name, function in public_callables():
        typed = set(typing.get_type_hints(function, localns=loaded_late, include_extras=True))
        parameters = set(inspect.signature(function).parameters) - {"self", "cls"}
        assert typed == parameters | {"return"}, name
    assert (Path(dnssd.__file__).parent / "py.typed").exists()


def test_type_checkers_know_which_names_there_are(tmp_path: Path) -> None:
    """A misspelt name is an error to them, and `import dnssd` is enough for its modules."""
    program = tmp_path / "program.py"
    program.write_text(
        "import dnssd\n"
        "from dnssd import Resolvr\n"
        "def call(resolver: dnssd.Resolver) -> dnssd.Endpoint | dnssd.errors.DnssdError: ...\n"
        "dnssd.http.nothing\n"
    )
    package = Path(dnssd.__file__).parent
    files = (program, package / "__init__.py", package / "http" / "__init__.py")
    arguments = ("--strict", "--follow-imports=skip", "--disable-error-code=no-any-unimported")
    found, _, _ = mypy.api.run(
        [*arguments, "--config-file=", f"--cache-dir={tmp_path}", *map(str, files)]
    )
    wrong = [line for line in found.splitlines() if line.startswith(str(program))]

    assert len(wrong) == 2, found
    assert '"dnssd" has no attribute "Resolvr"' in wrong[0]
    assert 'Module has no attribute "nothing"' in wrong[1]


def test_nothing_inside_comes_in_by_the_front_door() -> None:
    """What `dnssd` offers is for others: modules import each other where things are."""
    package = Path(dnssd.__file__).parent
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert "dnssd" not in {alias.name for alias in node.names}, path
            elif isinstance(node, ast.ImportFrom) and node.module == "dnssd":
                assert all((package / f"{alias.name}.py").exists() for alias in node.names) or (
                    path == package / "__init__.py"
                ), path


def test_the_metadata_is_the_packages() -> None:
    """What pip shows is what is installed, with four packages behind it and no more."""
    needed = importlib.metadata.requires("dnssd") or []
    names = {re.split(r"[^\w.-]", line)[0] for line in needed if "extra ==" not in line}

    assert importlib.metadata.version("dnssd") == dnssd.__version__
    assert names == {"boto3", "click", "dnspython", "requests"}


def commands() -> Iterator[tuple[str, click.Context, click.Command]]:
    """The group, under an empty name, and every command."""
    context = click.Context(group, info_name="dnssd", auto_envvar_prefix="DNSSD")
    yield "", context, group
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        yield name, click.Context(command, parent=context, info_name=name), command


def test_the_environment_variables_are_the_listed_ones() -> None:
    """Each option reads the variable that the rule gives it, and none is new unseen."""
    shared: set[str] = set()
    for name, context, command in commands():
        options = [p for p in command.params if isinstance(p, Option)]
        prefix = f"DNSSD_{name.replace('-', '_').upper()}_" if name else "DNSSD_"
        read = {variable for option in options for variable in option.variables(context)}
        shared |= read & SHARED
        assert read - SHARED == {prefix + suffix for suffix in VARIABLES[name].split()}
    assert list(VARIABLES) == ["", *COMMANDS]
    assert shared == SHARED


@pytest.mark.parametrize("variable", ["DNSSD_VERSION", "DNSSD_HELP", "DNSSD_LOOKUP_HELP"])
def test_no_other_variable_is_read(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that sets DNSSD_VERSION for its own use does not change what commands do."""
    monkeypatch.setenv(variable, "0.1.0")

    assert run(["lookup", "--nameserver", "127.0.0.1:0", "http", "--domain", "example.test"]) == 2
    assert run(["lookup", "--help"]) == 0


def test_the_documents_name_only_variables_that_are_read() -> None:
    """The reference gives the rule, the shared variables, and examples of the others."""
    specific = {
        f"DNSSD_{name}_{suffix}".replace("-", "_").upper()
        for name, suffixes in VARIABLES.items()
        for suffix in suffixes.split()
    }
    named = set(re.findall(r"\bDNSSD_[A-Z_]+\b", DOCUMENTS))

    of_hosts = {"DNSSD_STATE", "DNSSD_SHOW_ACCOUNT"}
    assert named > SHARED | of_hosts
    assert named - SHARED - of_hosts <= specific
