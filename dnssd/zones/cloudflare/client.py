"""Cloudflare's API v4: requests that are paced, and errors that say what became of them."""

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import requests

from dnssd import errors
from dnssd.deadline import Deadline
from dnssd.names import Name
from dnssd.version import __version__
from dnssd.zones.retry import Fate, Retry, Verdict
from dnssd.zones.secretfile import read_secret

API = "https://api.cloudflare.com/client/v4"
BASE_URL = "CLOUDFLARE_API_BASE_URL"
TOKEN = "CLOUDFLARE_API_TOKEN"  # noqa: S105 (its name, not the token)

THERE = {81057, 81058}  # an identical record exists
GONE = {81044}  # a record to be deleted does not
_TOKEN_CODES = {6003, 6111, 9109, 10000, 10001}
_INVALID = range(9_000, 9_999)
_VALIDATION = 1004
_LONGEST_SAYING = 300  # characters
_RATELIMIT = re.compile(r"r=(\d+).*?t=(\d+)")


class Stale(Exception):
    """A batch was rolled back: a record is there already, or is there no longer."""


class Client:
    """The API with one token.

    Attributes:
        retry: Counts the requests.
    """

    def __init__(
        self,
        origin: Name,
        token: str,
        *,
        base_url: str = API,
        timeout: float = 10.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is asked.

        Args:
            origin: The zone's apex, for errors.
            token: Allows to change the zone's records.
            base_url: The endpoint.
            timeout: Seconds to wait for each answer.
            now: A clock, in seconds.
        """
        self.retry = Retry()
        self._origin = origin
        self._base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._now = now
        self._free_at = 0.0  # when the token may be used again
        self._session = requests.Session()
        self._session.headers.update(
            {"Authorization": f"Bearer {token}", "User-Agent": f"dnssd/{__version__}"}
        )

    @classmethod
    def of_environment(cls, origin: Name, token_file: str | None, timeout: float) -> Self:
        """A client with the token of a file or of the environment.

        Raises:
            UsageError: There is none.
        """
        token = read_secret(token_file, "token file") if token_file else os.environ.get(TOKEN, "")
        token = token.strip()
        if not token:
            where = token_file or TOKEN
            raise errors.UsageError(f"{where}: no Cloudflare token; put one there")
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise errors.UsageError(f"{token_file or TOKEN}: not a token of Cloudflare")
        return cls(origin, token, base_url=os.environ.get(BASE_URL) or API, timeout=timeout)

    def get(self, path: str, query: Mapping[str, str], deadline: Deadline) -> Mapping[str, Any]:
        """Ask; the whole answer.

        Raises:
            DnssdError: It is refused, or there was no answer in time.
        """
        return self._ask("GET", path, {"params": query}, deadline)

    def post(self, path: str, body: Mapping[str, Any], deadline: Deadline) -> Mapping[str, Any]:
        """Change; the whole answer.

        Raises:
            Stale: Nothing was changed: a record is there already, or no longer.
            OutcomeUnknown: It may have been changed.
            DnssdError: It is refused, or could not be sent in time.
        """
        return self._ask("POST", path, {"json": body}, deadline)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _ask(
        self, method: str, path: str, arguments: Mapping[str, Any], deadline: Deadline
    ) -> Mapping[str, Any]:
        changes = method == "POST"

        def send() -> Mapping[str, Any]:
            self._wait_turn(deadline)
            url = f"{self._base_url}{path}"
            timeout = max(0.1, min(self._timeout, deadline.remaining))
            answer = self._session.request(
                method, url, timeout=(min(timeout, 5), timeout), allow_redirects=False, **arguments
            )
            self._note_rate(answer)
            return _read(answer)

        return self.retry.ask(send, self._verdict, deadline, changes=changes)

    def _wait_turn(self, deadline: Deadline) -> None:
        """Wait while the token has no requests left: one more would block it for minutes."""
        if (seconds := self._free_at - self._now()) > 0:
            deadline.pause(seconds, f"{self._origin}: Cloudflare's rate is used up")

    def _note_rate(self, answer: requests.Response) -> None:
        seconds = answer.headers.get("retry-after", "")
        rate = _RATELIMIT.search(answer.headers.get("ratelimit", ""))
        if answer.status_code == 429 and seconds.isdigit():
            self._free_at = self._now() + int(seconds)
        elif rate and int(rate[1]) == 0:
            self._free_at = self._now() + int(rate[2])

    def _verdict(self, error: Exception) -> Verdict:
        verdict = self._judge(error)
        verdict.error.about(name=str(self._origin), server="Cloudflare")
        return verdict

    def _judge(self, error: Exception) -> Verdict:
        if isinstance(error, _Refused):
            return self._judge_refusal(error)
        what = f"{self._origin}: Cloudflare"
        if isinstance(error, requests.exceptions.SSLError):
            advice = "check the clock, and the proxy's certificate"
            said = errors.Unavailable(f"{what}: {type(error).__name__}: TLS failed; {advice}")
            return Verdict(Fate.FINAL, said)
        if isinstance(error, requests.exceptions.ConnectTimeout) or _never_sent(error):
            return Verdict(
                Fate.NOT_DONE, errors.Unavailable(f"{what}: no connection; check the network")
            )
        if isinstance(error, requests.exceptions.RequestException | ValueError | KeyError):
            return Verdict(
                Fate.UNKNOWN, errors.Unavailable(f"{what}: no answer: {type(error).__name__}")
            )
        raise error

    def _judge_refusal(self, error: "_Refused") -> Verdict:
        what = f"{self._origin}: Cloudflare says {error}"
        if error.status == 429:
            why = "the rate of the token's user is used up, which all their tools share"
            return Verdict(Fate.THROTTLED, errors.Unavailable(f"{what}: {why}"))
        if error.status >= 500:
            return Verdict(Fate.UNKNOWN, errors.Unavailable(what))
        if error.codes & (THERE | GONE):
            raise Stale(str(error)) from error
        return Verdict(Fate.FINAL, _final(error, what))


class _Refused(Exception):
    """An answer that is a refusal."""

    def __init__(self, status: int, said: list[Mapping[str, Any]]) -> None:
        texts = [f"{one.get('code')} {one.get('message', '')}".strip() for one in said]
        line = " ".join("; ".join(texts).split()) or f"HTTP {status}"
        super().__init__(line if len(line) <= _LONGEST_SAYING else line[:_LONGEST_SAYING] + "…")
        self.status = status
        self.codes = {one.get("code") for one in said}


def _final(error: _Refused, what: str) -> errors.DnssdError:
    if error.status in (401, 403) or error.codes & _TOKEN_CODES:
        advice = "the token needs DNS Write on this zone, and Zone Read unless ,id= is given"
        return errors.AccessDenied(f"{what}; {advice}")
    if error.status == 404:
        return errors.ZoneNotFound(f"{what}; check the zone's ID, and whose token it is")
    codes = {code for code in error.codes if isinstance(code, int)}
    if codes and all(code == _VALIDATION or code in _INVALID for code in codes):
        return errors.ChangeRejected(what)
    return errors.Conflict(what)  # judged by reading again: codes change


def _read(answer: requests.Response) -> Mapping[str, Any]:
    try:
        body = json.loads(answer.content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        if answer.ok:
            raise ValueError("not JSON")
        raise _Refused(answer.status_code, [])
    if answer.ok and body.get("success") is True:
        return body
    said = [one for one in body.get("errors") or () if isinstance(one, dict)]
    chained = [one for top in said for one in top.get("error_chain") or () if isinstance(one, dict)]
    raise _Refused(answer.status_code, [*said, *chained])


def _never_sent(error: Exception) -> bool:
    """Whether there was no connection to send anything by."""
    if not isinstance(error, requests.exceptions.ConnectionError) or not error.args:
        return False
    reason = getattr(error.args[0], "reason", None)
    return type(reason).__name__ in ("NewConnectionError", "NameResolutionError")
