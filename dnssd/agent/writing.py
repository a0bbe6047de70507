"""An agent's end of the process that writes for it: started when needed, ended when idle."""

import asyncio
import contextlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import Any

from dnssd import errors

IDLE = 20.0  # seconds without a request after which the process ends
GRACE = 15.0  # seconds beyond a request's own deadline
MAX_LINE = 1 << 20  # octets of one answer
COMMAND = (sys.executable, "-P", "-m", "dnssd.agent.writer")  # -P: nothing from where it runs

_Process = asyncio.subprocess.Process


class Writer:
    """Carries out requests in another process.

    Args:
        command: What starts it.
        idle: Seconds without a request after which it ends.
    """

    def __init__(self, command: Sequence[str] = COMMAND, *, idle: float = IDLE) -> None:
        self._command = command
        self._idle = idle
        self._ids = count()
        self._waiting: dict[int, tuple[_Process, asyncio.Future[dict[str, Any]]]] = {}
        self._process: _Process | None = None
        self._starting = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None
        self._ending: asyncio.TimerHandle | None = None
        self.spent: Counter[tuple[str, str]] = Counter()  # so far, by what and zone
        self.starts = 0  # of the process, so far

    @property
    def pid(self) -> int | None:
        """Its process, None while there is none."""
        return self._process.pid if self._process else None

    async def ask(self, op: str, deadline: float, **details: Any) -> dict[str, Any]:
        """Have one operation carried out.

        Args:
            op: Its name.
            deadline: Seconds it may take.
            details: What it is about, as JSON allows.

        Raises:
            DnssdError: As the operation does.
            Unavailable: The process has ended, or does not answer.
        """
        number = next(self._ids)
        line = json.dumps({"id": number, "op": op, "deadline": deadline, **details})
        process = await self._running()
        answer = asyncio.get_running_loop().create_future()
        self._waiting[number] = process, answer
        try:
            assert process.stdin  # noqa: S101 (a pipe was asked for)
            process.stdin.write(line.encode() + b"\n")
            async with asyncio.timeout(deadline + GRACE):
                result: dict[str, Any] = await answer
                return result
        except TimeoutError as error:
            self._kill(process)
            raise errors.Unavailable(f"{op}: its process does not answer; it is ended") from error

    async def settle(self, seconds: float) -> None:
        """Return once nothing is under way; what takes longer is ended with its process."""
        ends = asyncio.get_running_loop().time() + seconds
        while self._waiting and asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(0.05)
        if self._waiting and (process := self._process):
            self._kill(process)
            await process.wait()

    async def warm(self) -> None:
        """Have it ready: a write may come soon."""
        with contextlib.suppress(errors.DnssdError, OSError):
            await self.ask("warm", 30.0)

    async def close(self) -> None:
        """End it, once what is under way is done."""
        if self._ending:
            self._ending.cancel()
        if self._process and self._process.stdin:
            self._process.stdin.close()
            await self._process.wait()
        if self._reading:
            await self._reading

    async def _running(self) -> _Process:
        if self._ending:
            self._ending.cancel()
            self._ending = None
        async with self._starting:
            if self._process is None:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    limit=MAX_LINE,
                )
                self.starts += 1
                self._reading = asyncio.create_task(self._read(self._process))
            return self._process

    async def _read(self, process: _Process) -> None:
        """Hand out its answers until it has ended; what is unanswered then has failed."""
        assert process.stdout  # noqa: S101 (a pipe was asked for)
        try:
            while line := await process.stdout.readline():
                self._answered(json.loads(line))
        except ValueError:  # a line without end; one that has ended is not killed, asyncio would
            self._kill(process)  # wait for it twice and wonder
        await process.wait()
        if self._process is process:
            self._process = None
        for number, (asked, answer) in list(self._waiting.items()):
            if asked is process:
                del self._waiting[number]
                _settle(answer, errors.Unavailable("the process that writes has ended"))
        self._watch_idleness()

    def _answered(self, answer: dict[str, Any]) -> None:
        _, waiting = self._waiting.pop(answer["id"])
        for what, times in answer.get("spent", {}).items():
            self.spent[what, answer["zone"]] += times
        if error := answer.get("error"):
            kind = getattr(errors, error["kind"], errors.DnssdError)
            _settle(waiting, kind(error["message"]))
        elif not waiting.done():
            waiting.set_result(answer["result"])
        self._watch_idleness()

    def _watch_idleness(self) -> None:
        if self._ending:
            self._ending.cancel()
            self._ending = None
        if not self._waiting and self._process:
            self._ending = asyncio.get_running_loop().call_later(self._idle, self._end)

    def _kill(self, process: _Process) -> None:
        """End it at once; the next request starts another."""
        if self._process is process:
            self._process = None
        with contextlib.suppress(ProcessLookupError):
            process.kill()

    def _end(self) -> None:
        process, self._process = self._process, None  # the next request starts another
        if process and process.stdin:
            process.stdin.close()


def _settle(answer: asyncio.Future[dict[str, Any]], error: Exception) -> None:
    """Fail it; nobody may be waiting any more."""
    if not answer.done():
        answer.set_exception(error)
        answer.exception()
