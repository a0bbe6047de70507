"""The recipes for other libraries in dnssd/README.md run, each against a server of its kind."""

import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import grpc
import mypy.api
import pytest
from websockets.sync.server import ServerConnection, serve

from dnssd import Registration, join, open_zone
from dnssd.sandbox.sandbox import Sandbox
from kit.databases import lacking_postgres, mongodb_hello, postgresql_server, redis_server
from kit.documents import ROOT, environment, recipes, run
from kit.servers import HOST, needs

UNTYPED = ("[no-untyped-call]", "[import-untyped]")  # what libraries leave open

Serving = Callable[[], AbstractContextManager[int]]


@contextmanager
def grpc_server() -> Iterator[int]:
    """The port of a gRPC server with one method, which answers what it is sent."""
    say = grpc.unary_unary_rpc_method_handler(lambda request, _: request)
    handler = grpc.method_handlers_generic_handler("example.Echo", {"Say": say})
    server = grpc.server(ThreadPoolExecutor(2), handlers=[handler])
    port = server.add_insecure_port(f"{HOST}:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


@contextmanager
def websocket_server() -> Iterator[int]:
    """The port of a WebSocket server that answers what it is sent."""

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with serve(echo, HOST, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield int(server.socket.getsockname()[1])
        server.shutdown()
        thread.join()


KINDS = [
    pytest.param("redis", redis_server, marks=needs("redis-server")),
    pytest.param(
        "postgresql",
        postgresql_server,
        marks=pytest.mark.skipif(bool(lacking_postgres()), reason=lacking_postgres()),
    ),
    ("mongodb", mongodb_hello),
    ("grpc", grpc_server),
    ("ws", websocket_server),
]


@pytest.mark.parametrize(("service", "serving"), KINDS)
def test_a_recipe_reaches_its_server(
    service: str,
    serving: Serving,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though the host that is preferred is down: it prints what its comments say."""
    (recipe,) = [block for block in recipes() if f'"_{service}._tcp.example.test"' in block]
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    program = tmp_path / "recipe.py"
    program.write_text(recipe)
    with serving() as port, socket.socket() as down:
        down.bind((HOST, 0))  # and does not listen; nobody else gets its port
        places = {"gone": (down.getsockname()[1], 0), "here": (port, 1)}
        for host, (place, priority) in places.items():
            registration = Registration(
                service=f"_{service}._tcp",
                instance="main",
                port=place,
                host=host,
                addresses=[HOST],
                priority=priority,
            )
            join(open_zone(), registration)
        output = run(sys.executable, str(program), env=environment(sandbox))

    shown = re.findall(r"^ *print\(.*\)  # (.*)$", recipe, re.MULTILINE)
    assert output.splitlines() == shown
    assert shown


def test_every_recipe_is_run() -> None:
    """None is left out, and mypy --strict finds no wrong type but what a library leaves open."""
    found = recipes()
    assert len(found) == len(KINDS)
    for recipe in found:
        told, _, _ = mypy.api.run(
            ["--strict", "--config-file=", f"--cache-dir={ROOT / '.mypy_cache'}", "-c", recipe]
        )
        errors = [line for line in told.splitlines() if ": error: " in line]
        assert [line for line in errors if not line.endswith(UNTYPED)] == []
