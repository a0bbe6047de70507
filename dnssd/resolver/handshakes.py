"""TLS handshakes on sockets that do not block."""

import selectors
import ssl
from typing import cast

from dnssd.resolver.connecting import EndpointSocket, host_name
from dnssd.resolver.snapshot import Endpoint


class EndpointTlsSocket(ssl.SSLSocket):
    """A connection to an endpoint with TLS, for type checkers.

    At run time it is of the class that its context makes (`SSLContext.sslsocket_class`).

    Attributes:
        endpoint: Which one it leads to.
    """

    endpoint: Endpoint


def begin(context: ssl.SSLContext, sock: EndpointSocket) -> EndpointTlsSocket:
    """The socket with TLS, before the first step of its handshake.

    Raises:
        UnicodeError: The endpoint's target cannot be the name of a certificate.
    """
    name = host_name(sock.endpoint.target)
    name.encode("idna")  # `ssl` would say so too, and leave the socket open that it takes over
    wrapped = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
    tls = cast(EndpointTlsSocket, wrapped)
    tls.endpoint = sock.endpoint
    return tls


def advance(sock: ssl.SSLSocket) -> int:
    """Take a step; return what to wait for before the next one, 0 after the last.

    Raises:
        OSError: TLS was not agreed upon.
    """
    try:
        sock.do_handshake()
    except ssl.SSLWantReadError:
        return selectors.EVENT_READ
    except ssl.SSLWantWriteError:
        return selectors.EVENT_WRITE
    return 0
