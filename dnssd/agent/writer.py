"""The process that writes for an agent: `python -P -m dnssd.agent.writer`.

What writing takes, boto3 above all, stays in memory once it is loaded; so it is loaded here, in
a process that ends when the agent has nothing to write. It reads requests from standard input
and answers on standard output, an object of JSON a line; each request has a thread of its own.
It ends with its input, whatever is under way: its agent has died then, and the next one is not to
be overtaken by what this one wanted. Signals of a terminal are its agent's.
"""

import json
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

from dnssd.agent.operations import OPERATIONS
from dnssd.errors import DnssdError, UsageError
from dnssd.registration.operation import Operation

_log = logging.getLogger("dnssd.agent.writer")
_Json = dict[str, Any]


def main() -> None:
    """Do what is asked for until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(format="dnssd: %(message)s", level=os.environ.get("DNSSD_WRITER_LOG"))
    answering = threading.Lock()
    out = os.dup(1)
    os.dup2(2, 1)  # nothing else that prints may come between answers

    def serve(request: _Json) -> None:
        answer = json.dumps({"id": request["id"], **_answer(request)}).encode() + b"\n"
        with answering, suppress(BrokenPipeError):  # its agent has gone
            while answer:
                answer = answer[os.write(out, answer) :]

    for line in sys.stdin:
        if not line.endswith("\n"):
            break  # its agent has gone while it wrote
        threading.Thread(target=serve, args=(json.loads(line),), daemon=True).start()
    os._exit(0)


def _answer(request: _Json) -> _Json:
    """A result, or the error in place of it; and what it took of the provider."""
    answer = _result(request)
    operation: Operation | None = request.get("operation")
    if operation:
        zone, conflicts = operation.zone, operation.conflicts
        spent = {"requests": zone.requests, "throttled": zone.throttled, "conflicts": conflicts}
        answer |= {"zone": request["zone"], "spent": spent}
    return answer


def _result(request: _Json) -> _Json:
    try:
        return {"result": OPERATIONS[request["op"]](request)}
    except DnssdError as error:
        kind = "UsageError" if isinstance(error, UsageError) else type(error).__name__
        return {"error": {"kind": kind, "message": str(error)}}
    except Exception as error:
        _log.exception("%s failed", request["op"])
        why = f"{type(error).__name__}: this is a fault of dnssd; its log has more"
        return {"error": {"kind": "DnssdError", "message": why}}


if __name__ == "__main__":
    main()
