"""Redis and PostgreSQL on loopback, and a MongoDB that does no more than say hello."""

import os
import shutil
import socketserver
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from tempfile import TemporaryDirectory

import bson
import psycopg
import redis

from kit.servers import HOST, absence, free_port, process

PATIENCE = 60.0  # seconds until a server must answer
_OP_MSG = 2013  # MongoDB's wire protocol
_OP_QUERY, _OP_REPLY = 2004, 1


def postgres_program(name: str) -> str | None:
    """Where a program of PostgreSQL is, which Debian has not on PATH; None if nowhere."""
    return shutil.which(name) or next(iter(sorted(glob(f"/usr/lib/postgresql/*/bin/{name}"))), None)


def lacking_postgres() -> str:
    """What to do if there is no PostgreSQL; nothing if there is."""
    return "" if postgres_program("initdb") else absence("initdb")


@contextmanager
def redis_server() -> Iterator[int]:
    """The port of a Redis."""

    def is_ready(port: int) -> bool:
        with redis.Redis(HOST, port) as client:
            return bool(client.ping())

    with TemporaryDirectory(prefix="dnssd-") as folder:
        options = ("--bind", HOST, "--save", "", "--dir", folder)
        program = ("redis-server", *options)
        with _started(lambda port: (*program, "--port", str(port)), Path(folder), is_ready) as port:
            yield port


@contextmanager
def postgresql_server() -> Iterator[int]:
    """The port of a PostgreSQL whose user is `postgres`."""

    def is_ready(port: int) -> bool:
        psycopg.connect(host=HOST, port=port, user="postgres", dbname="postgres").close()
        return True

    initdb, postgres = postgres_program("initdb"), postgres_program("postgres")
    assert initdb
    assert postgres
    with TemporaryDirectory(prefix="dnssd-") as name:
        folder = Path(name)
        as_user: Sequence[str] = ()
        if os.geteuid() == 0:  # which PostgreSQL refuses to run as
            as_user = ("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups")
            shutil.chown(folder, "nobody", "nogroup")
        data = str(folder / "data")
        quick = ("--no-sync", "--auth", "trust", "--username", "postgres")
        subprocess.run(
            (*as_user, initdb, *quick, "--pgdata", data), check=True, capture_output=True
        )
        settings = [f"listen_addresses={HOST}", "unix_socket_directories=", "fsync=off"]
        options = [word for setting in settings for word in ("-c", setting)]
        program = (*as_user, postgres, "-D", data, *options)
        with _started(lambda port: (*program, "-p", str(port)), folder, is_ready) as port:
            yield port


@contextmanager
def _started(
    command: Callable[[int], Sequence[str]], folder: Path, is_ready: Callable[[int], bool]
) -> Iterator[int]:
    """Start a server on a free port, and end it."""
    port = free_port()
    with process(command(port), folder) as running:
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                if is_ready(port):
                    break
            except (OSError, redis.ConnectionError, psycopg.OperationalError):
                assert running.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < ends, (folder / "log").read_text()
                time.sleep(0.01)
        yield port


class _Hello(socketserver.StreamRequestHandler):
    """Answers whatever it is asked as the primary of a replica set would."""

    def handle(self) -> None:
        me = "{}:{}".format(*self.connection.getsockname())
        while header := self.rfile.read(16):
            size, number, _, kind = struct.unpack("<iiii", header)
            self.rfile.read(size - 16)
            document = bson.encode(
                {
                    "ok": 1.0,
                    "helloOk": True,
                    "isWritablePrimary": True,
                    "maxWireVersion": 21,
                    "setName": "rs0",
                    "hosts": [me],
                    "me": me,
                    "primary": me,
                }
            )
            body = struct.pack("<IB", 0, 0) + document
            answer = _OP_MSG
            if kind == _OP_QUERY:
                body, answer = struct.pack("<iqii", 8, 0, 0, 1) + document, _OP_REPLY
            self.wfile.write(struct.pack("<iiii", 16 + len(body), 1, number, answer) + body)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True  # a client may keep its connections until it ends
    block_on_close = False


@contextmanager
def mongodb_hello() -> Iterator[int]:
    """The port of a server that a driver takes for a MongoDB, and that holds nothing."""
    with _Server((HOST, 0), _Hello) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
