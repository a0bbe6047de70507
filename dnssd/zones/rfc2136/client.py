"""Questions and updates carried through: asked again until there is an answer or no time left."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence

import dns.message
import dns.update

from dnssd.deadline import Deadline
from dnssd.errors import DnssdError, OutcomeUnknown, Unavailable
from dnssd.names import Name
from dnssd.zones.rfc2136 import messages
from dnssd.zones.rfc2136.connection import Connection, Lost, NeverSent, Server
from dnssd.zones.rfc2136.keyfile import Key
from dnssd.zones.rfc2136.verdict import Fate, Request, Verdict, judge

_log = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 5.0  # seconds: such servers are near, and nobody counts their requests


class UpdateClient:
    """A client of one zone's server.

    Attributes:
        round_trips: So far, those without an answer included.
    """

    def __init__(
        self,
        origin: Name,
        servers: Sequence[Server],
        key: Key | None,
        *,
        timeout: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is asked.

        Args:
            origin: The zone's apex.
            servers: Its primary server; of several, one that can be reached.
            key: Signs everything; None for servers that go by addresses.
            timeout: Seconds to wait for the answers of one round trip.
            now: The time of day, in seconds.
        """
        self.round_trips = 0
        self._origin = origin
        self._key = key
        self._connection = Connection(servers, messages.dns_key(key))
        self._timeout = timeout
        self._now = now

    @property
    def server(self) -> Server:
        """The server in use."""
        return self._connection.server

    def ask(
        self, questions: Sequence[dns.message.Message], deadline: Deadline
    ) -> list[dns.message.Message]:
        """Ask questions, all at once.

        Raises:
            DnssdError: The server does not answer them for this zone and key.
            DeadlineExceeded: There was no answer in time.
        """
        return [answer for answer, _ in self._settled(questions, (), deadline)]

    def hold(
        self,
        requests: Sequence[dns.update.UpdateMessage],
        names: Sequence[Name],
        deadline: Deadline,
    ) -> list[bool]:
        """Whether the prerequisites of updates hold that change nothing.

        Raises:
            DnssdError: The server takes no updates of this zone by this key.
            DeadlineExceeded: There was no answer in time.
        """
        return [verdict is None for _, verdict in self._settled(requests, names, deadline)]

    def update(
        self,
        message: dns.update.UpdateMessage,
        names: Sequence[Name],
        deadline: Deadline,
        *,
        failed: Callable[[DnssdError], None] = lambda error: None,
    ) -> None:
        """Send an update until it is made, refused or lost.

        Args:
            message: The update.
            names: What it changes, for errors.
            deadline: The deadline.
            failed: Told of each failure of the server; may know better what it means.

        Raises:
            Conflict: A prerequisite does not hold.
            OutcomeUnknown: It was sent, and no answer came.
            DnssdError: It was refused.
            DeadlineExceeded: It could not be sent in time, or the server fails.
        """
        trouble = _Trouble(self._asked, deadline)
        while True:
            try:
                (answer,) = self._exchange([message], deadline)
            except NeverSent as error:
                trouble.wait(f"nothing was sent: {error}")
                continue
            except Lost as error:
                what = f"{self._origin}: an update has no answer: {error}"
                raise OutcomeUnknown(what, **self._asked) from error
            verdict = self._judge(answer, names)
            if verdict is None:
                return
            if verdict.fate is not Fate.NOT_DONE:
                raise verdict.error
            failed(verdict.error)
            trouble.wait(verdict.why)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _settled(
        self, requests: Sequence[dns.message.Message], names: Sequence[Name], deadline: Deadline
    ) -> list[tuple[dns.message.Message, Verdict | None]]:
        """Requests that change nothing, with answers that all say something about data."""
        trouble = _Trouble(self._asked, deadline)
        while True:
            try:
                answers = self._exchange(requests, deadline)
            except (NeverSent, Lost) as error:
                trouble.wait(f"no answer: {error}")
                continue
            verdicts = [self._judge(answer, names) for answer in answers]
            failed = [v for v in verdicts if v and v.fate is not Fate.STALE]
            if not failed:
                return list(zip(answers, verdicts, strict=True))
            if final := next((v for v in failed if v.fate is Fate.FINAL), None):
                raise final.error
            trouble.wait(failed[0].why)

    def _exchange(
        self, requests: Sequence[dns.message.Message], deadline: Deadline
    ) -> list[dns.message.Message]:
        self.round_trips += 1
        seconds = max(0.01, min(self._timeout, deadline.remaining))
        return self._connection.exchange(requests, seconds)

    @property
    def _asked(self) -> dict[str, str]:
        """Who is asked about what, for errors."""
        return {"name": str(self._origin), "server": str(self.server)}

    def _judge(self, answer: dns.message.Message, names: Sequence[Name] = ()) -> Verdict | None:
        request = Request(self._origin, str(self.server), self._key, names)
        return judge(answer, request, self._now())


class _Trouble:
    """What goes wrong while one thing is tried, and how long to wait before it is tried again."""

    def __init__(self, asked: Mapping[str, str], deadline: Deadline) -> None:
        self._asked = asked
        self._deadline = deadline
        self._attempts = 0

    def wait(self, why: str) -> None:
        _log.info("%s: trying again: %s", self._asked["name"], why)
        error = Unavailable(f"{self._asked['name']}: {why}", **self._asked)
        self._deadline.back_off(self._attempts, error, cap=LONGEST_WAIT_SECONDS)
        self._attempts += 1
