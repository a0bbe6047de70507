"""Cloudflare's API over a socket: tokens, zones, paging, rates, and faults on request."""

import json
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from dnssd.sandbox.server import StreamServer, host_and_port
from kit.cloudflare.errors import (
    BAD_BODY,
    BAD_HEADERS,
    BAD_TOKEN,
    INVALID,
    NO_ACCESS,
    NO_ROUTE,
    THROTTLED,
    ApiError,
)
from kit.cloudflare.listing import list_records, page_of
from kit.cloudflare.records import Record, Records, Rules, apply_batch

ROOT = "/client/v4"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
PATIENCE = 60.0  # seconds that a connection may say nothing


class Fault(Enum):
    """What can befall a request."""

    ERROR_BEFORE = auto()  # 500, and nothing is done
    ERROR_AFTER = auto()  # it is carried out, and the answer is a 502 of some proxy
    CUT_BEFORE = auto()  # the connection ends, and nothing is done
    CUT_AFTER = auto()  # it is carried out, and the connection ends without an answer
    THROTTLE = auto()  # 429, with retry-after
    STALE = auto()  # a listing is answered from the state before the last change


class Exchange(NamedTuple):
    """A request and what became of it."""

    method: str
    target: str  # path and query below the root
    status: int  # 0 if nothing was answered
    codes: tuple[int, ...] = ()


@dataclass(slots=True)
class Token:
    """What a token may do, and until when.

    Attributes:
        zones: The ids of the zones that it sees.
        can: Of `zone:read`, `dns:read`, `dns:write`.
        expired: Whether its time is over.
        calls: When its calls of the current window were made, in seconds.
    """

    zones: set[str]
    can: set[str]
    expired: bool = False
    calls: deque[float] = field(default_factory=deque)
    blocked_until: float = -math.inf


@dataclass(slots=True)
class HeldZone:
    """A zone, and every state that it has been in, the newest last."""

    id: str
    rules: Rules
    states: list[Records]


class Cloudflare(StreamServer):
    """Zones of one account, on loopback.

    Args:
        serve: The names of n >= 1 zones.
        calls: How many calls a token may make in a window.
        window: Seconds.
        rules: What the zones let happen.
        host: Where it listens, at a port that is free.
        now: A monotonic clock, in seconds.
        rng: Makes ids.

    Attributes:
        token: One that may do everything.
        requests: What was asked, the oldest first.
        faults: What befalls the next requests, one each; None for nothing.
    """

    def __init__(
        self,
        serve: Sequence[str] = ("example.test",),
        *,
        calls: int = 1200,
        window: float = 300.0,
        rules: Rules | None = None,
        host: str = "127.0.0.1",
        now: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__("Cloudflare", _Connection, host, 0, patience=PATIENCE)
        self.requests: list[Exchange] = []
        self.faults: deque[Fault | None] = deque()
        self.calls, self.window = calls, window
        self._now = now
        self._rng = rng or random.Random()
        self._lock = threading.RLock()
        self._zones = {}
        for name in serve:
            zone_id = self._id()
            own = replace(rules or Rules(""), origin=name.lower().rstrip("."))
            self._zones[zone_id] = HeldZone(zone_id, own, [()])
        self._tokens: dict[str, Token] = {}
        self.token = self.add_token()

    @property
    def url(self) -> str:
        """The API's base."""
        return f"http://{host_and_port(self.host, self.port)}{ROOT}"

    @property
    def zone_id(self) -> str:
        """The first zone's identifier."""
        return next(iter(self._zones))

    def environment(self) -> dict[str, str]:
        """The variables by which commands and clients find it, with the token for everything."""
        return {"CLOUDFLARE_API_BASE_URL": self.url, "CLOUDFLARE_API_TOKEN": self.token}

    def add_token(
        self,
        can: Iterable[str] = ("zone:read", "dns:read", "dns:write"),
        zones: Iterable[str] | None = None,
    ) -> str:
        """A new token that may do this, with the zones of these ids or with all."""
        token = self._id() + self._id()[:8]
        self._tokens[token] = Token(set(self._zones if zones is None else zones), set(can))
        return token

    def expire(self, token: str) -> None:
        """End a token's time."""
        self._tokens[token].expired = True

    def records(self, zone_id: str | None = None) -> Records:
        """What a zone holds, the first if none is named."""
        return self._zones[zone_id or self.zone_id].states[-1]

    def states(self, zone_id: str | None = None) -> Sequence[Records]:
        """Every state that a zone has been in, the newest last."""
        return tuple(self._zones[zone_id or self.zone_id].states)

    def put(self, *, zone_id: str | None = None, **fields: Any) -> Record:
        """Let another hand make a record; what it holds is checked as usual."""
        with self._lock:
            zone = self._zones[zone_id or self.zone_id]
            after, _, posted = apply_batch(
                zone.rules, zone.states[-1], {"posts": [fields]}, self._stamp
            )
            zone.states.append(after)
            return posted[0]

    def remove(self, record_id: str, zone_id: str | None = None) -> None:
        """Let another hand remove a record."""
        with self._lock:
            zone = self._zones[zone_id or self.zone_id]
            zone.states.append(tuple(r for r in zone.states[-1] if r.id != record_id))

    def patch(self, record_id: str, *, zone_id: str | None = None, **fields: Any) -> None:
        """Let another hand change a record, which keeps its id."""
        with self._lock:
            zone = self._zones[zone_id or self.zone_id]
            _, now = self._stamp()
            zone.states.append(
                tuple(
                    replace(record, **fields, modified_on=now) if record.id == record_id else record
                    for record in zone.states[-1]
                )
            )

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> "Answer":
        """Answer one request, and remember it."""
        with self._lock:
            fault = self.faults.popleft() if self.faults else None
            if fault is Fault.CUT_BEFORE:
                made = Answer(0)
            elif fault is Fault.ERROR_BEFORE:
                made = _refusal(ApiError(10001, "Internal server error", 500))
            elif fault is Fault.THROTTLE:
                made = _refusal(ApiError(THROTTLED, "Please wait", 429), {"retry-after": "1"})
            else:
                made = self._answered(method, target, headers, body, fault is Fault.STALE)
                if fault is Fault.CUT_AFTER:
                    made = replace(made, status=0)
                elif fault is Fault.ERROR_AFTER:
                    made = Answer(502, b"<html>bad gateway</html>", {"Content-Type": "text/html"})
            self.requests.append(Exchange(method, target, made.status, made.codes))
            return made

    def _answered(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, stale: bool
    ) -> "Answer":
        limits: dict[str, str] = {}
        try:
            token = self._authorized(headers)
            limits = self._limited(token)
            result, info = self._called(token, method, target, body, stale)
        except _Throttled as error:
            return _refusal(error, error.headers)
        except ApiError as error:
            return _refusal(error, limits)
        document = {"result": result, "success": True, "errors": [], "messages": []}
        if info:
            document["result_info"] = info
        return Answer(200, json.dumps(document).encode(), limits)

    def _authorized(self, headers: Mapping[str, str]) -> Token:
        scheme, _, text = headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not text or text != text.strip():
            wrong = ApiError(6111, "Invalid format for Authorization header")
            raise ApiError(BAD_HEADERS, "Invalid request headers", 400, (wrong,))
        token = self._tokens.get(text)
        if token is None or token.expired:
            raise ApiError(BAD_TOKEN, "Invalid access token", 403)
        return token

    def _limited(self, token: Token) -> dict[str, str]:
        """The headers that tell how many calls are left; beyond them all are refused."""
        now = self._now()
        while token.calls and token.calls[0] <= now - self.window:
            token.calls.popleft()
        left = self.calls - len(token.calls)
        if left <= 0 and token.blocked_until <= now:
            token.blocked_until = now + self.window
        reset = math.ceil(max(token.blocked_until - now, 0) or self.window)
        limits = {
            "Ratelimit": f'"default";r={max(left - 1, 0)};t={reset}',
            "Ratelimit-Policy": f'"default";q={self.calls};w={self.window:g}',
        }
        if token.blocked_until > now:
            raise _Throttled(limits | {"retry-after": str(reset)})
        token.calls.append(now)
        return limits

    def _called(
        self, token: Token, method: str, target: str, body: bytes, stale: bool
    ) -> tuple[Any, dict[str, Any]]:
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        match (method, *url.path.strip("/").split("/")):
            case ("GET", "zones"):
                return self._list_zones(token, query)
            case ("GET", "zones", zone_id, "dns_records"):
                zone = self._zone(token, zone_id, "dns:read")
                state = zone.states[-2:][0] if stale else zone.states[-1]
                return list_records(zone.rules, state, query)
            case ("POST", "zones", zone_id, "dns_records", "batch"):
                zone = self._zone(token, zone_id, "dns:write")
                return self._batch(zone, body), {}
        raise ApiError(NO_ROUTE, f"Could not route to {url.path}", 404)

    def _zone(self, token: Token, zone_id: str, needed: str) -> HeldZone:
        if len(zone_id) != 32 or not set(zone_id) <= set("0123456789abcdef"):
            message = (
                f"Could not route to /zones/{zone_id}, perhaps your object identifier is wrong?"
            )
            raise ApiError(NO_ROUTE, message, 404)
        if needed not in token.can or zone_id not in token.zones & self._zones.keys():
            raise ApiError(NO_ACCESS, "Authentication error", 403)
        return self._zones[zone_id]

    def _list_zones(self, token: Token, query: dict[str, str]) -> tuple[Any, dict[str, Any]]:
        if unknown := query.keys() - {"name", "page", "per_page"}:
            raise ApiError(INVALID, f"parameters {sorted(unknown)} are not known here")
        if "zone:read" not in token.can:
            raise ApiError(BAD_TOKEN, "Unauthorized to access requested resource", 403)
        found = [
            {
                "id": zone.id,
                "name": zone.rules.origin,
                "status": "active",
                "paused": False,
                "type": "full",
                "name_servers": ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"],
                "account": {"id": "0" * 32, "name": "a test's"},
            }
            for zone in self._zones.values()
            if zone.id in token.zones and query.get("name", zone.rules.origin) == zone.rules.origin
        ]
        return page_of(found, query, 20, 50)

    def _batch(self, zone: HeldZone, body: bytes) -> dict[str, Any]:
        try:
            document = json.loads(body)
        except ValueError as error:
            raise ApiError(BAD_BODY, "Request body is invalid.") from error
        after, deleted, posted = apply_batch(zone.rules, zone.states[-1], document, self._stamp)
        zone.states.append(after)
        return {
            "deletes": [record.document() for record in deleted],
            "patches": [],
            "puts": [],
            "posts": [record.document() for record in posted],
        }

    def _stamp(self) -> tuple[str, str]:
        return self._id(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _id(self) -> str:
        return f"{self._rng.getrandbits(128):032x}"


class _Throttled(ApiError):
    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(THROTTLED, "Please wait and consider throttling your request speed", 429)
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; a status of 0 ends the connection in its place."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    codes: tuple[int, ...] = ()


def _refusal(error: ApiError, headers: Mapping[str, str] = NO_HEADERS) -> Answer:
    document = {"result": None, "success": False, "errors": [error.document()], "messages": []}
    return Answer(error.status, json.dumps(document).encode(), headers, (error.code,))


class _Connection(BaseHTTPRequestHandler):
    server: Cloudflare
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        target = self.path.removeprefix(ROOT)
        with self.server.at_work(self.connection):
            answer = self.server.answer(self.command, target, headers, body)
            if answer.status == 0:
                self.close_connection = True
                return
            self.send_response(answer.status)
            fields = {"Content-Type": "application/json", **answer.headers}
            for name, value in {**fields, "Content-Length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)
            self.wfile.flush()

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _respond  # noqa: N815 (http.server's names)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the requests are remembered."""
