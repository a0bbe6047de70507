"""A proxy between resolvers and a real DNS server that breaks what the server answers.

    with FaultProxy("127.0.0.1:5300", Plan(share=0.7), zone="example.test") as proxy:
        Resolver([proxy.nameserver]).lookup(name)
        print(proxy.counts())

It is a process of its own, so that it takes no time of the program that is measured, and it
ends with this one, however this one ends.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kit.faultproxy.faults import LIES, Plan

_PATH = Path(__file__).parents[2]  # of the package `kit`
_PATIENCE = 10  # seconds until a process that was told to end is killed


@dataclass(frozen=True, slots=True)
class Counts:
    """What a proxy has seen and done.

    Attributes:
        questions: Different names and types that were asked for.
        udp: By kind: `queries`, `answers` of the server, those passed on `right`, and those
            that met each fault, by the fault's value.
        tcp: Likewise; with `connections`, and answers `withheld` behind a stalled one.
    """

    questions: int
    udp: Mapping[str, int]
    tcp: Mapping[str, int]

    @property
    def packets(self) -> int:
        """Queries by either transport."""
        return self.udp.get("queries", 0) + self.tcp.get("queries", 0)

    @property
    def answers(self) -> int:
        """Answers of the server by either transport, broken or not."""
        return self.udp.get("answers", 0) + self.tcp.get("answers", 0)

    @property
    def right(self) -> int:
        """Answers that were passed on as they were."""
        return self.udp.get("right", 0) + self.tcp.get("right", 0)


class FaultProxy:
    """The proxy, from here until it is closed.

    Args:
        server: `IPV4:PORT` of the real server, for UDP and TCP.
        plan: What happens to answers.
        zone: A zone that the server holds, whose SOA record lies carry; none, no lies.

    Attributes:
        port: Where it listens on 127.0.0.1, by UDP and TCP.
    """

    def __init__(self, server: str, plan: Plan | None = None, *, zone: str = "") -> None:
        self._zone = zone
        host, _, port = server.rpartition(":")
        words = (host, port, zone, self._words(plan or Plan()))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kit.faultproxy.process", *words],
            env={**os.environ, "PYTHONPATH": str(_PATH)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._read())

    @property
    def nameserver(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    def follow(self, plan: Plan) -> None:
        """Change the plan; it holds for every answer that comes later."""
        self._write(self._words(plan))
        self._read()

    def counts(self) -> Counts:
        """What it has seen and done so far."""
        self._write("counts")
        return Counts(**json.loads(self._read()))

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _words(self, plan: Plan) -> str:
        if not self._zone and set(LIES) & set(plan.faults):
            raise ValueError("a plan with lies needs the zone whose SOA record they carry")
        words: dict[str, Any] = asdict(plan)
        return json.dumps(words)

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError(f"the fault proxy has ended (exit code {self._process.returncode})")
        return line
