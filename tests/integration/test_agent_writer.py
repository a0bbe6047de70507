"""The process that writes for an agent, when the agent is not as it should be."""

import json
import signal
import subprocess

from dnssd.agent.writing import COMMAND

PATIENCE = 60.0  # seconds until a test gives up; nothing waits that long
REQUEST = json.dumps({"id": 0, "op": "identify", "deadline": 1, "host": "h", "cloud": "plain"})


def test_it_ends_in_silence_where_its_agent_has_gone() -> None:
    """In the middle of a word, and before the answer; Ctrl-C is for its agent alone."""
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(REQUEST + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["result"]["label"] == "h"
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        process.stdin.write(f"{REQUEST}\n{REQUEST[:20]}")
        process.stdin.close()
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE) == 0
