"""The process that writes for an agent, when the agent is not as it should be."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys

from dnssd.agent.writing import COMMAND, Writer
from dnssd.errors import Unavailable

PATIENCE = 60.0  # seconds until a test gives up; nothing waits that long
REQUEST = json.dumps({"id": 0, "op": "identify", "deadline": 1, "host": "h", "cloud": "plain"})
HANGING = json.dumps({"id": 1, "op": "identify", "deadline": 900, "host": None, "cloud": "ec2"})


def test_it_ends_in_silence_where_its_agent_has_gone() -> None:
    """In the middle of a word, and of what was asked: it is not to overtake the next agent.

    Ctrl-C is for its agent alone.
    """
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        subprocess.Popen(
            COMMAND,
            env={
                **os.environ,
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{mute.getsockname()[1]}",
                "AWS_EC2_METADATA_DISABLED": "",
                "AWS_METADATA_SERVICE_TIMEOUT": "900",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(REQUEST + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["result"]["label"] == "h"
        process.send_signal(signal.SIGINT)
        mute.settimeout(PATIENCE)
        process.stdin.write(f"{HANGING}\n")
        process.stdin.flush()
        with mute.accept()[0]:
            process.stdout.close()
            process.stdin.write(f"{REQUEST}\n{REQUEST[:20]}")
            process.stdin.close()
            assert process.stderr.read() == ""
            assert process.wait(PATIENCE) == 0


SLOW = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["op"] != "hang":
        print(json.dumps({"id": asked["id"], "result": {"op": asked["op"]}}), flush=True)
"""


def test_what_takes_too_long_at_the_end_keeps_no_leave_from_being_written() -> None:
    """Its process is ended, and the next request has one that lives."""

    async def end() -> dict[str, object]:
        writer = Writer((sys.executable, "-c", SLOW))
        hanging = asyncio.create_task(writer.ask("hang", PATIENCE))
        while not writer.pid:
            await asyncio.sleep(0)
        await writer.settle(0)
        left = await writer.ask("leave", PATIENCE)
        with contextlib.suppress(Unavailable):
            await hanging
        await writer.close()
        return left

    assert asyncio.run(end()) == {"op": "leave"}
