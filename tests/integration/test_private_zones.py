"""Where only a caching resolver answers, as in a private zone: nobody looks too early."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count

import dns.message
import dns.query
import dns.rdatatype
import pytest

from dnssd.sandbox.sandbox import Sandbox
from dnssd.zones.route53 import zone as route53
from kit.commands import commands

WEB = "web._http._tcp.example.test."


class Cache:
    """A resolver before a name server that remembers every answer, absence too, for ever.

    Args:
        behind: HOST:PORT of the name server.
        note: What to remember of the moment of each question.
    """

    def __init__(self, behind: str, note: Callable[[], object]) -> None:
        self.asked: list[tuple[str, object]] = []
        self.answers: dict[tuple[str, str], dns.message.Message] = {}
        self._host, _, port = behind.rpartition(":")
        self._port = int(port)
        self._note = note

    def answer(self, wire: bytes) -> bytes:
        """What it says."""
        query = dns.message.from_wire(wire)
        (question,) = query.question
        key = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((" ".join(key), self._note()))
        if key not in self.answers:
            plain = dns.message.make_query(question.name, question.rdtype)
            self.answers[key] = dns.query.udp(plain, self._host, port=self._port, timeout=10)
        answer = dns.message.make_response(query)
        answer.set_rcode(self.answers[key].rcode())
        answer.answer = list(self.answers[key].answer)
        answer.authority = list(self.answers[key].authority)
        return answer.to_wire()


@contextmanager
def serving(cache: Cache) -> Iterator[str]:
    """Its HOST:PORT, on UDP."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, socket = self.request
            socket.sendto(cache.answer(wire), self.client_address)

    with socketserver.UDPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_what_waits_looks_only_when_it_can_be_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Waiting goes by Route 53's own word, INSYNC, and asks a given resolver behind that, once.

    An early look would be remembered: the join would seem not to be there until the zone's
    negative TTL has passed.
    """
    monkeypatch.setattr(route53, "POLL_SECONDS", 0.0)
    clock = partial(next, count())
    with Sandbox(now=lambda: float(clock()), insync_after=12) as sandbox:
        for key, value in sandbox.environment().items():
            monkeypatch.setenv(key, value)
        monkeypatch.delenv("DNSSD_NAMESERVER")
        monkeypatch.setenv("DNSSD_ZONE", f"example.test,id={sandbox.zone_id}")
        dnssd = commands(capsys)
        cache = Cache(sandbox.nameserver, lambda: len(sandbox.api.requests()))
        web = ("http", "--instance", "web", "--host", "a")
        join = ("join", *web, "--port", 80, "--address", "10.0.0.1", "--wait")
        with serving(cache) as resolver:
            joined = dnssd(*join, "--nameserver", resolver, "--deadline", 10)
        monkeypatch.setenv("DNSSD_NAMESERVER", resolver)  # nobody is there any more
        left = dnssd("leave", *web, "--drain", 0.01)
        requests = [exchange.action for exchange in sandbox.api.requests()]

    assert (joined.code, left.code) == (0, 0)
    (before,) = {requests for _, requests in cache.asked}
    assert isinstance(before, int)
    assert [question for question, _ in cache.asked if question.startswith(WEB)] == [f"{WEB} SRV"]
    assert requests[:before].count("GetChange") >= 2
    assert requests[before - 1] == "GetChange"
    assert "GetChange" in requests[before:]  # the drain goes by the same word
