"""What the connection of an updatable zone makes of servers that misbehave."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import dns.flags
import dns.message
import dns.rcode
import dns.tsig
import pytest

from dnssd.names import Name
from dnssd.zones.rfc2136 import messages
from dnssd.zones.rfc2136.connection import IDLE_SECONDS, Connection, Lost, NeverSent, Server

KEY = dns.tsig.Key("k", b"secret", "hmac-sha256")
Answer = Callable[[bytes], bytes]


def answered(wire: bytes, key: dns.tsig.Key | None = None) -> bytes:
    """The answer of an honest server, framed."""
    query = dns.message.from_wire(wire, keyring=key or False)
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA
    return response.to_wire(prepend_length=True)


@contextmanager
def server(*answers: Answer) -> Iterator[Server]:
    """Answers each request in turn, by connections one after the other; closes then."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        left = list(answers)

        def serve() -> None:
            while left:
                accepted, _ = listening.accept()
                with accepted, accepted.makefile("rb") as stream, suppress(ConnectionError):
                    while left and (size := stream.read(2)):
                        accepted.sendall(left.pop(0)(stream.read(int.from_bytes(size))))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Server("127.0.0.1", listening.getsockname()[1])
        finally:
            thread.join(10)


def ask(connection: Connection, *names: str) -> list[dns.message.Message]:
    """Ask for TXT records."""
    questions = [messages.question(Name.parse(name), "TXT") for name in names or ["h.example."]]
    return connection.exchange(questions, 5)


def swapped(wire: bytes) -> bytes:
    """An answer with another id."""
    framed = bytearray(answered(wire))
    framed[2] ^= 0xFF
    return bytes(framed)


def unsigned(wire: bytes) -> bytes:
    """An answer without a signature to a signed question."""
    query = dns.message.from_wire(wire, keyring=False)
    query.keyring = query.tsig = None
    return dns.message.make_response(query).to_wire(prepend_length=True)


def forged(wire: bytes) -> bytes:
    """An answer signed with another secret."""
    query = dns.message.from_wire(wire, keyring=False)
    plain = dns.message.make_query(query.question[0].name, "TXT", id=query.id)
    response = dns.message.make_response(plain)
    response.use_tsig(dns.tsig.Key("k", b"other", "hmac-sha256"))
    return response.to_wire(prepend_length=True)


@pytest.mark.parametrize(
    "answer",
    [
        lambda wire: b"\x00\x05hello",
        lambda wire: b"\x00\x20" + wire[:2] + b"\xff" * 30,
        lambda wire: b"",
        lambda wire: answered(wire)[:-3],
        swapped,
        lambda wire: answered(wire.replace(b"\x01h\x07", b"\x01i\x07")),
    ],
    ids=["short", "garbage", "nothing", "cut off", "another id", "another question"],
)
def test_what_is_no_answer_is_lost_and_the_next_connection_is_new(answer: Answer) -> None:
    """Nothing that comes on the old one can be taken for an answer later."""
    with server(answer, answered) as one:
        connection = Connection([one], None)
        with pytest.raises(Lost):
            connection.exchange([messages.question(Name.parse("h.example."), "TXT")], 0.3)
        assert ask(connection)[0].rcode() == dns.rcode.NOERROR
        connection.close()


@pytest.mark.parametrize("answer", [unsigned, forged])
def test_a_signed_question_needs_a_signed_answer(answer: Answer) -> None:
    """Somebody on the way could say anything otherwise."""
    with server(answer) as one:
        connection = Connection([one], KEY)
        with pytest.raises(Lost):
            ask(connection)
        connection.close()
    with server(lambda wire: answered(wire, KEY)) as one:
        connection = Connection([one], KEY)
        assert ask(connection)[0].rcode() == dns.rcode.NOERROR
        connection.close()


def test_nobody_who_listens_means_that_nothing_was_sent() -> None:
    """Each server is named."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    connection = Connection([Server("127.0.0.1", port)], None)
    with pytest.raises(NeverSent, match=rf"127\.0\.0\.1:{port}: Connection refused"):
        ask(connection)


def test_a_connection_is_kept_and_opened_again_once_idle() -> None:
    """Servers close idle ones, and an update on a dying one would have an unknown outcome."""
    clock = [0.0]
    sockets: set[int] = set()
    with server(answered, answered, answered) as one:
        connection = Connection([one], None, monotonic=lambda: clock[0])
        for pause in (0.0, IDLE_SECONDS - 1, IDLE_SECONDS + 1):
            clock[0] += pause
            ask(connection)
            assert connection.local_port is not None
            sockets.add(connection.local_port)
        connection.close()
    assert len(sockets) == 2


def test_answers_may_come_in_another_order() -> None:
    """BIND answers what it has first."""
    held: list[bytes] = []

    def hold(wire: bytes) -> bytes:
        held.append(answered(wire))
        return b""

    with server(hold, lambda wire: answered(wire) + held[0]) as one:
        connection = Connection([one], None)
        first, second = ask(connection, "a.example.", "b.example.")
        connection.close()
    assert first.question[0].name.to_text() == "a.example."
    assert second.question[0].name.to_text() == "b.example."
