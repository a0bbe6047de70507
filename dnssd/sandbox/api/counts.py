"""What became of the requests: counted exactly, from the first one on."""

import json
import threading
from collections import Counter, defaultdict
from typing import Any

PATH = "/sandbox/counts"
MAX_CLIENTS = 100  # user agents that are told apart
OTHERS = "others"  # the rest of them


class Counts:
    """How many requests there were, by operation, outcome, fault and client."""

    def __init__(self) -> None:
        self._outcomes: Counter[tuple[str, str]] = Counter()  # by operation and outcome
        self._faults: Counter[str] = Counter()
        self._clients: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, action: str, error: str | None, fault: str | None, user_agent: str) -> None:
        """Count a request.

        Args:
            action: The operation, empty if it asked for none.
            error: The code of the error that it met, None for success.
            fault: The name of the fault that was injected, None if none was.
            user_agent: What the client calls itself.
        """
        with self._lock:
            self._outcomes[action or "none", error or "ok"] += 1
            if fault:
                self._faults[fault] += 1
            client = _client(user_agent)
            known = client in self._clients or len(self._clients) < MAX_CLIENTS
            self._clients[client if known else OTHERS] += 1

    def report(self) -> dict[str, Any]:
        """The counts until now.

        Returns:
            `requests`, of which `admitted` and `throttled`; `faults` by name; `by_action`:
            outcomes of each operation, `ok` or an error code; `by_user_agent`.
        """
        with self._lock:
            outcomes, faults = self._outcomes.copy(), dict(self._faults)
            clients = dict(self._clients)
        by_action: dict[str, dict[str, int]] = defaultdict(dict)
        for (action, outcome), count in outcomes.items():
            by_action[action][outcome] = count
        throttled = sum(counted.get("Throttling", 0) for counted in by_action.values())
        return {
            "requests": outcomes.total(),
            "admitted": outcomes.total() - throttled,
            "throttled": throttled,
            "faults": faults,
            "by_action": by_action,
            "by_user_agent": clients,
        }

    def document(self) -> bytes:
        """The report as JSON."""
        return json.dumps(self.report()).encode()


def _client(user_agent: str) -> str:
    """Who it is, without the features used, which botocore lists in an order of chance."""
    return " ".join(word for word in user_agent.split() if not word.startswith("m/"))
