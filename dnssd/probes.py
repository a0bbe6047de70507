"""Probes: one asyncio function for each kind of check."""

import asyncio
import contextlib
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from dnssd.checks import KEPT, Check, Result, Verdict, escaped
from dnssd.names import shown

if TYPE_CHECKING:
    import ssl

MAX_BODY = 65_536  # octets of an HTTP answer that are looked through


async def probe(check: Check, timeout: float) -> Result:
    """Probe once.

    Args:
        check: With nothing left out.
        timeout: Seconds it may take.
    """
    started = time.monotonic()

    def result(verdict: Verdict, said: str) -> Result:
        return Result(verdict, escaped(said), time.monotonic() - started)

    try:
        async with asyncio.timeout(timeout):
            verdict, said = await _PROBES[check.kind](check)
    except TimeoutError:
        return result("fail", f"no answer within {timeout:g} s")
    except OSError as error:
        return result("fail", _why(error))
    except (ValueError, EOFError) as error:  # of parsers: of headers, of names
        return result("fail", f"a malformed answer ({type(error).__name__})")
    return result(verdict, said)


def _why(error: OSError) -> str:
    """The system's words; asyncio has its own, with addresses in them."""
    if error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


async def _tcp(check: Check) -> tuple[Verdict, str]:
    _, writer = await asyncio.open_connection(check.host, check.port)
    writer.transport.abort()
    return "pass", "connected"


async def _tls(check: Check) -> tuple[Verdict, str]:
    _, writer = await _secured(check)
    version = writer.get_extra_info("ssl_object").version()
    writer.transport.abort()
    return "pass", f"connected, {version}"


async def _http(check: Check) -> tuple[Verdict, str]:
    if check.kind == "https":
        reader, writer = await _secured(check)
    else:
        reader, writer = await asyncio.open_connection(check.host, check.port)
    try:
        host = f"[{check.host}]" if ":" in check.host else check.host
        head = (
            f"GET {check.rest or '/'} HTTP/1.1\r\nHost: {host}:{check.port}\r\n"
            "User-Agent: dnssd-check\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode())
        return await _judged(reader, check.options.get("expect"))
    finally:
        writer.transport.abort()


async def _judged(reader: asyncio.StreamReader, expected: str | None) -> tuple[Verdict, str]:
    """What an HTTP answer means; with `expected`, its body is read until that is found."""
    line = (await reader.readline()).decode("latin-1").strip()
    match = re.fullmatch(r"HTTP/1\.[01] (\d{3})(?: .*)?", line)
    if not match:
        raise ValueError(line)
    if not match[1].startswith("2"):
        return "fail", line
    if expected is None:
        return "pass", line
    chunked = False
    while header := (await reader.readline()).strip().lower():
        chunked |= header.startswith(b"transfer-encoding:") and b"chunked" in header
    body = b""
    while len(body) < MAX_BODY and expected.encode() not in body:
        piece = await _chunk(reader) if chunked else await reader.read(MAX_BODY)
        if not piece:
            return "fail", f"{line}, without {shown(expected)}"
        body += piece
    if expected.encode() in body:
        return "pass", f"{line}, with {shown(expected)}"
    return "fail", f"{line}, without {shown(expected)}"


async def _chunk(reader: asyncio.StreamReader) -> bytes:
    size = int((await reader.readline()).partition(b";")[0], 16)
    piece = await reader.readexactly(min(size, MAX_BODY))
    await reader.readline()
    return piece


async def _grpc(check: Check) -> tuple[Verdict, str]:
    import grpc

    host = f"[{check.host}]" if ":" in check.host else check.host
    service = check.rest.removeprefix("/").encode()
    request = b"\x0a" + bytes([len(service)]) + service if service else b""
    async with grpc.aio.insecure_channel(f"{host}:{check.port}") as channel:
        call = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            answer = await call(request)
        except grpc.aio.AioRpcError as error:
            return "fail", f"{error.code().name}: {error.details()}"
    status = {b"\x08\x01": "SERVING", b"\x08\x02": "NOT_SERVING"}.get(answer, "UNKNOWN")
    return "pass" if status == "SERVING" else "fail", status


async def _exec(check: Check) -> tuple[Verdict, str]:
    return await _run(check.words)


async def _systemd(check: Check) -> tuple[Verdict, str]:
    return await _run(("systemctl", "is-active", "--", check.rest))


async def _unless_file(check: Check) -> tuple[Verdict, str]:
    if await asyncio.to_thread(os.path.exists, check.rest):
        return "maintenance", f"{check.rest} is there"
    return "pass", f"{check.rest} is absent"


async def _run(words: tuple[str, ...]) -> tuple[Verdict, str]:
    """Run a program in a group of its own, which ends with this call however it ends."""
    program = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        assert program.stdout  # noqa: S101 (a pipe was asked for)
        said = await program.stdout.read(4 * KEPT)
        while await program.stdout.read(MAX_BODY):
            pass  # a full pipe would hold it up
        code = await program.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program._transport.close()  # type: ignore[attr-defined] # who left the group has it open
        await program.wait()
    if code == 0:
        return "pass", said.decode("utf-8", "replace")
    ending = f"exit code {code}" if code > 0 else f"signal {-code}"
    return "fail", f"{ending} {said.decode('utf-8', 'replace')}"


async def _secured(check: Check) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    name = check.options.get("name")
    return await asyncio.open_connection(
        check.host, check.port, ssl=_context(name is not None), server_hostname=name or check.host
    )


def _context(verified: bool) -> "ssl.SSLContext":
    import ssl  # takes a while to load, and most checks do without

    context = ssl.create_default_context()
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


_PROBES: dict[str, Callable[[Check], Awaitable[tuple[Verdict, str]]]] = {
    "tcp": _tcp,
    "tls": _tls,
    "http": _http,
    "https": _http,
    "grpc": _grpc,
    "exec": _exec,
    "systemd": _systemd,
    "unless-file": _unless_file,
}
