"""Probes against real sockets, servers and programs."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import pytest
import trustme

from dnssd.checks import Check, Result
from dnssd.probes import probe

HOST = "127.0.0.1"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def probed(url: str, timeout: float = 5.0) -> Result:
    """Probe once."""
    return asyncio.run(probe(Check.parse(url), timeout))


@contextlib.asynccontextmanager
async def serving(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on a free port."""
    server = await asyncio.start_server(serve, HOST, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def answering(answer: bytes) -> Serve:
    """What reads a request and answers so."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    return serve


def probed_at(form: str, serve: Serve, context: ssl.SSLContext | None = None) -> Result:
    """Probe a server; `form` has `{}` where its port belongs."""

    async def run() -> Result:
        async with serving(serve, context) as port:
            return await probe(Check.parse(form.format(port)), 5.0)

    return asyncio.run(run())


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes connections, and says nothing."""
    with contextlib.suppress(ConnectionError, asyncio.CancelledError):
        await reader.read()
    writer.close()


def test_a_tcp_check_connects() -> None:
    """Who listens passes; where nobody does it fails, and the last word says why."""
    assert probed_at("tcp://127.0.0.1:{}", silent).verdict == "pass"
    with socket.create_server((HOST, 0)) as closed:
        port = closed.getsockname()[1]
    result = probed(f"tcp://{HOST}:{port}")
    assert (result.verdict, result.said) == ("fail", "Connection refused")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", "pass"),
        (b"HTTP/1.0 204 No Content\r\n\r\n", "pass"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", "fail"),
        (b"HTTP/1.1 503 Service \x1b[31mUnavailable\r\n\r\n", "fail"),
        (b"SSH-2.0-OpenSSH\r\n", "fail"),
        (b"", "fail"),
        (b"x" * 100_000, "fail"),
    ],
)
def test_an_http_check_wants_2xx(answer: bytes, verdict: str) -> None:
    """Redirections are not followed; what is no HTTP fails, and reaches no terminal as it is."""
    result = probed_at("http://127.0.0.1:{}/health", answering(answer))
    assert result.verdict == verdict
    assert result.said.isprintable()


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (b"\r\nall is well", "pass"),
        (b"\r\nout of order", "fail"),
        (b"Transfer-Encoding: chunked\r\n\r\n7\r\nall is \r\n4\r\nwell\r\n0\r\n\r\n", "pass"),
        (b"Transfer-Encoding: chunked\r\n\r\n7\r\nall is \r\n0\r\n\r\n", "fail"),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "fail"),
        (b"\r\n" + b"x" * 200_000 + b"well", "fail"),
    ],
)
def test_an_answer_may_have_to_hold_a_text(body: bytes, verdict: str) -> None:
    """In its first 64 KiB, whole or in chunks."""
    answer = b"HTTP/1.1 200 OK\r\n" + body
    result = probed_at("http://127.0.0.1:{}/,expect=is well", answering(answer))
    assert result.verdict == verdict


def test_a_check_with_tls_verifies_only_a_name_that_is_given() -> None:
    """Without one it asks whether something answers; with one the certificate must be for it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("web.example.com").configure_cert(context)
    answer = answering(b"HTTP/1.1 200 OK\r\n\r\n")
    assert probed_at("tls://127.0.0.1:{}", silent, context).verdict == "pass"
    assert probed_at("https://127.0.0.1:{}/", answer, context).verdict == "pass"
    refused = probed_at("https://127.0.0.1:{}/,name=web.example.com", answer, context)
    assert refused.verdict == "fail"


def test_a_hung_service_fails_once_its_time_is_over() -> None:
    """It accepts and never answers."""

    async def run() -> Result:
        async with serving(silent) as port:
            return await probe(Check.parse(f"http://{HOST}:{port}/"), 0.2)

    result = asyncio.run(run())
    assert (result.verdict, result.said) == ("fail", "no answer within 0.2 s")


def test_a_command_passes_with_exit_code_0() -> None:
    """Its output is the last word; without a shell, in a group that ends with the check."""
    passed = probed("exec:echo well $HOME")
    assert (passed.verdict, passed.said) == ("pass", "well $HOME")
    failed = probed("exec:sh -c 'echo broken >&2; exit 3'")
    assert (failed.verdict, failed.said) == ("fail", "exit code 3 broken")
    assert probed("exec:sh -c 'kill -9 $$'").said.startswith("signal 9")
    assert probed("exec:/nonexistent").said == "No such file or directory"
    assert probed("exec:sh -c 'yes | head -c 10000000'").verdict == "pass"


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    """Also what it left in the background, which has its output open."""
    file = tmp_path / "pid"
    result = probed(f"exec:sh -c 'sleep 1000 & echo $! >{file}; wait'", 0.5)
    assert (result.verdict, result.said) == ("fail", "no answer within 0.5 s")
    with contextlib.suppress(ProcessLookupError):
        for _ in range(500):
            os.kill(int(file.read_text()), 0)
            if Path(f"/proc/{int(file.read_text())}/stat").read_text().split()[2] == "Z":
                break  # dead, and process 1 has not looked yet
            os.sched_yield()
        else:
            pytest.fail("it still runs")


def test_a_file_means_maintenance(tmp_path: Path) -> None:
    """Whoever makes it takes the service out; whoever removes it lets it back in."""
    file = tmp_path / "maintenance"
    assert probed(f"unless-file:{file}").verdict == "pass"
    file.touch()
    assert probed(f"unless-file:{file}").verdict == "maintenance"


def test_a_unit_is_asked_of_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By `systemctl is-active`, whose word and code are the result's."""
    systemctl = tmp_path / "systemctl"
    systemctl.write_text('#!/bin/sh\n[ "$*" = "is-active -- web.service" ] && echo active\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    passed = probed("systemd:web.service")
    assert (passed.verdict, passed.said) == ("pass", "active")
    assert probed("systemd:other.service").verdict == "fail"


@pytest.mark.parametrize(
    ("status", "verdict", "said"), [(1, "pass", "SERVING"), (2, "fail", "NOT_SERVING")]
)
def test_a_grpc_service_tells_its_health(status: int, verdict: str, said: str) -> None:
    """By the health protocol of gRPC, the service's name and all."""
    asked = []

    async def check(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        asked.append(request)
        return b"\x08" + bytes([status])

    async def run() -> Result:
        server = grpc.aio.server()
        methods = {"Check": grpc.unary_unary_rpc_method_handler(check)}
        handler = grpc.method_handlers_generic_handler("grpc.health.v1.Health", methods)
        server.add_generic_rpc_handlers((handler,))
        port = server.add_insecure_port(f"{HOST}:0")
        await server.start()
        try:
            return await probe(Check.parse(f"grpc://{HOST}:{port}/shop.Cart"), 5.0)
        finally:
            await server.stop(None)

    result = asyncio.run(run())
    assert (result.verdict, result.said) == (verdict, said)
    assert asked == [b"\x0a\x09shop.Cart"]
