"""From endpoints to asyncio: the loop that carries out what `Race` decides."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from ssl import SSLContext, SSLError
from typing import Any, TypeVar

from dnssd.resolver.connecting import EndpointSocket, family_of, host_name, system_error
from dnssd.resolver.race import DELAY, Attempt, Race, Report, attempts, limited
from dnssd.resolver.snapshot import Endpoint

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_Opened = TypeVar("_Opened")
Further = Callable[[], Coroutine[Any, Any, Iterable[Endpoint]]]
_Tasks = dict[asyncio.Task[Any], Attempt | None]  # what each tries; None where it asks `Further`


async def open_connection(
    endpoints: Iterable[Endpoint],
    timeout: float | None,
    *,
    report: Report,
    delay: float = DELAY,
    ssl: SSLContext | bool | None = None,
    server_hostname: str | None = None,
    further: Further | None = None,
    **options: Any,
) -> Streams:
    """Open streams to the first endpoint that answers, in the order given.

    With TLS an endpoint has answered when the handshake is done.

    Args:
        endpoints: Whom to try.
        timeout: Seconds for all attempts together; None for no limit.
        report: As for `Race`.
        delay: Seconds from one attempt to the next.
        ssl: As for `asyncio.open_connection`.
        server_hostname: The name that the certificate must be for; by default the
            endpoint's target without its last dot.
        further: Asks for further addresses when all else was tried; gives endpoints that have
            them.
        options: Others of `asyncio.open_connection`.

    Raises:
        Unavailable: Nobody has answered (`DeadlineExceeded`: in time).
    """

    async def opened(attempt: Attempt) -> Streams:
        name = None
        if ssl:
            name = server_hostname or host_name(attempt.endpoint.target)
            name.encode("idna")  # later on its UnicodeError would end in the loop's log
        return await asyncio.open_connection(
            attempt.address, attempt.port, ssl=ssl, server_hostname=name, **options
        )

    now = asyncio.get_running_loop().time()
    can_grow = further is not None
    race = Race(attempts(endpoints), now, limited(timeout), report, delay, can_grow=can_grow)
    return await first(race, opened, lambda streams: streams[1].transport.abort(), further)


async def connect_async(
    endpoints: Iterable[Endpoint],
    timeout: float | None,
    *,
    report: Report,
    delay: float = DELAY,
    further: Further | None = None,
) -> EndpointSocket:
    """`connect` for asyncio; the socket does not block, as `loop.sock_recv` and others need it."""
    loop = asyncio.get_running_loop()

    async def connected(attempt: Attempt) -> EndpointSocket:
        sock = EndpointSocket(family_of(attempt), socket.SOCK_STREAM)
        try:
            sock.endpoint = attempt.endpoint
            sock.setblocking(False)
            await loop.sock_connect(sock, (attempt.address, attempt.port))
        except BaseException:
            sock.close()
            raise
        return sock

    can_grow = further is not None
    race = Race(
        attempts(endpoints), loop.time(), limited(timeout), report, delay, can_grow=can_grow
    )
    return await first(race, connected, socket.socket.close, further)


async def first(
    race: Race,
    opened: Callable[[Attempt], Coroutine[Any, Any, _Opened]],
    drop: Callable[[_Opened], object],
    further: Further | None = None,
) -> _Opened:
    """What opens first; the others are abandoned.

    Args:
        race: When to try what.
        opened: Opens a connection; OSError and UnicodeError say that it could not.
        drop: Lets go of one that came too late.
        further: Asks for further addresses, where the race can grow.

    Raises:
        Unavailable: None has opened (`DeadlineExceeded`: in time).
    """
    tasks: _Tasks = {}
    won: list[_Opened] = []
    try:
        won.append(await _race_tasks(race, tasks, opened, further))
    finally:
        for task, attempt in tasks.items():
            if attempt:
                task.add_done_callback(partial(_drop_late, drop))
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        except asyncio.CancelledError:  # nobody waits any more for what has won
            for first in won:
                drop(first)
            raise
    return won[0]


def _drop_late(drop: Callable[[_Opened], object], task: asyncio.Task[_Opened]) -> None:
    """Let go of what has won a little too late."""
    if not task.cancelled() and task.exception() is None:
        drop(task.result())


async def _race_tasks(
    race: Race,
    tasks: _Tasks,
    opened: Callable[[Attempt], Coroutine[Any, Any, _Opened]],
    further: Further | None,
) -> _Opened:
    """What opens first; what is still under way stays in `tasks`."""
    clock = asyncio.get_running_loop().time
    while not race.is_over(now := clock()):
        if attempt := race.start(now):
            tasks[asyncio.create_task(opened(attempt))] = attempt
            continue
        if further and race.lacks(now):
            tasks[asyncio.create_task(further())] = None
        done, _ = await asyncio.wait(
            tasks, timeout=race.wait(now), return_when=asyncio.FIRST_COMPLETED
        )
        for task in [task for task in tasks if task in done]:
            attempt = tasks.pop(task)
            if attempt is None:
                race.extend(task.result())
                continue
            try:
                first: _Opened = task.result()
            except (OSError, UnicodeError) as error:
                race.fail(attempt, _plain(error), clock())
            else:
                race.succeed(attempt, clock())
                return first
    raise race.expire(clock())


def _plain(error: Exception) -> Exception:
    """The system's own words for it, where asyncio puts others: those repeat the address."""
    if isinstance(error, OSError) and not isinstance(error, SSLError) and error.errno:
        return system_error(error.errno)
    return error
