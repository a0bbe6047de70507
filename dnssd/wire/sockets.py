"""UDP and TCP sockets to name servers, on any event loop that has the methods of `Loop`."""

import contextlib
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable

from dnssd.wire.loop import Loop
from dnssd.wire.nameservers import NameServer

AT_A_TIME = 64  # packets read before others have their turn
BUFFER = 1 << 20  # octets; answers to hundreds of questions may come at one moment
CHUNK = 1 << 16
_LENGTH = struct.Struct("!H")


class Sockets:
    """Opens sockets whose packets an event loop delivers."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def open(
        self,
        server: NameServer,
        by_tcp: bool,
        receive: Callable[[bytes], object],
        lost: Callable[[str], object],
    ) -> "Udp | Tcp":
        """Open a channel (see `Network`).

        Raises:
            OSError: It cannot be.
        """
        return (Tcp if by_tcp else Udp)(self._loop, server, receive, lost)


class _Channel(ABC):
    """A socket that does not block, connected to one server."""

    _kind: socket.SocketKind

    def __init__(
        self,
        loop: Loop,
        server: NameServer,
        receive: Callable[[bytes], object],
        lost: Callable[[str], object],
    ) -> None:
        self._loop = loop
        self._receive = receive
        self._lost = lost
        address = socket.getaddrinfo(  # keeps the scope of an IPv6 address
            server.address, server.port, type=self._kind, flags=socket.AI_NUMERICHOST
        )[0]
        self._socket = socket.socket(address[0], self._kind)
        try:
            self._socket.setblocking(False)
            self._prepare()
            with contextlib.suppress(BlockingIOError):  # TCP takes its time
                self._socket.connect(address[4])
            self._watch()
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Free the socket."""
        fd = self._socket.fileno()
        if fd >= 0:
            with contextlib.suppress(RuntimeError):  # the loop may be closed already
                self._loop.remove_reader(fd)
                self._loop.remove_writer(fd)
            try:
                self._socket.getsockname()
            except OSError:  # closed by somebody else: the number may be another's by now
                self._socket.detach()
            self._socket.close()

    def _watch(self) -> None:
        """Have the loop tell what happens to it."""
        self._loop.add_reader(self._socket.fileno(), self._read)

    @abstractmethod
    def _prepare(self) -> None:
        """Set what the socket needs before it connects."""

    @abstractmethod
    def _read(self) -> None:
        """Take what has come."""


class Udp(_Channel):
    """A UDP socket that is connected: the kernel passes on nothing from elsewhere."""

    _kind = socket.SOCK_DGRAM

    send: Callable[[bytes], object]  # a packet; raises OSError where it cannot be

    def _prepare(self) -> None:
        self.send = self._socket.send
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)

    def _read(self) -> None:
        for _ in range(AT_A_TIME):
            try:
                packet = self._socket.recv(CHUNK)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:  # closed meanwhile, or what the network has told of
                if self._socket.fileno() >= 0:
                    self._lost(_reason(error))
                return
            if not self._receive(packet):
                return


class Tcp(_Channel):
    """A TCP connection: questions go out as soon as it stands, answers come in any order."""

    _kind = socket.SOCK_STREAM

    def __init__(
        self,
        loop: Loop,
        server: NameServer,
        receive: Callable[[bytes], object],
        lost: Callable[[str], object],
    ) -> None:
        self._out = bytearray()
        self._in = bytearray()
        self._stands = False
        super().__init__(loop, server, receive, lost)

    def send(self, packet: bytes) -> None:
        """Send a packet as soon as the connection stands and takes it; `lost` tells if not."""
        self._out += _LENGTH.pack(len(packet)) + packet
        if self._stands and len(self._out) == 2 + len(packet):  # nothing is in front of it
            with contextlib.suppress(OSError):  # full; or broken, which the next try finds too
                del self._out[: self._socket.send(self._out)]
            if self._out:
                self._loop.add_writer(self._socket.fileno(), self._write)

    def _prepare(self) -> None:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _watch(self) -> None:
        super()._watch()
        self._loop.add_writer(self._socket.fileno(), self._write)

    def _write(self) -> None:
        try:
            del self._out[: self._socket.send(self._out)]
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lost(_reason(error))
            return
        self._stands = True
        if not self._out:
            self._loop.remove_writer(self._socket.fileno())

    def _read(self) -> None:
        try:
            chunk = self._socket.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lost(_reason(error))
            return
        if not chunk:
            self._lost("connection closed")
            return
        self._in += chunk
        while len(self._in) >= 2 and self._socket.fileno() >= 0:
            end = 2 + _LENGTH.unpack_from(self._in)[0]
            if len(self._in) < end:
                break
            packet = bytes(self._in[2:end])
            del self._in[:end]
            self._receive(packet)
        if self._in:
            self._receive(b"")


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
