"""Where name servers are, and which ones this machine asks."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.errors import DnssdError, Unavailable, UsageError
from dnssd.wire.nameservers import NameServer
from dnssd.wire.system_servers import CHECK, ResolvConf, system_nameservers


@pytest.fixture
def _known_hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def getaddrinfo(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host != "ns.example.com":
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("192.0.2.53", 0))]

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


@pytest.mark.usefixtures("_known_hosts")
@pytest.mark.parametrize(
    ("text", "server", "shown"),
    [
        ("10.0.0.2", NameServer("10.0.0.2", 53), "10.0.0.2:53"),
        ("10.0.0.2:5300", NameServer("10.0.0.2", 5300), "10.0.0.2:5300"),
        ("2001:db8::1", NameServer("2001:db8::1", 53), "[2001:db8::1]:53"),
        ("[2001:db8::1]", NameServer("2001:db8::1", 53), "[2001:db8::1]:53"),
        ("[2001:db8::1]:5300", NameServer("2001:db8::1", 5300), "[2001:db8::1]:5300"),
        ("::1", NameServer("::1", 53), "[::1]:53"),
        ("fe80::1%eth0", NameServer("fe80::1%eth0", 53), "[fe80::1%eth0]:53"),
        ("[fe80::1%br-1.7]:5300", NameServer("fe80::1%br-1.7", 5300), "[fe80::1%br-1.7]:5300"),
        ("ns.example.com", NameServer("192.0.2.53", 53), "192.0.2.53:53"),
        ("ns.example.com:5300", NameServer("192.0.2.53", 5300), "192.0.2.53:5300"),
    ],
)
def test_name_servers_are_given_as_people_write_them(
    text: str, server: NameServer, shown: str
) -> None:
    """Addresses and host names, with and without a port."""
    assert NameServer.parse(text) == (server,)
    assert str(server) == shown


def test_a_host_with_several_addresses_is_a_server_at_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`localhost` is ::1 first on most machines, where a server of 127.0.0.1 alone is not heard.

    An address of a link alone keeps its scope.
    """

    def getaddrinfo(*_: object, **__: object) -> list[tuple[object, ...]]:
        six = (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("::1", 0, 0, 0))
        four = (socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", 0))
        link = (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("fe80::1", 0, 0, 2))
        return [six, four, four, link]

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        found = NameServer.parse("localhost:5300")

    assert [str(server) for server in found] == ["[::1]:5300", "127.0.0.1:5300", "[fe80::1%2]:5300"]


@pytest.mark.usefixtures("_known_hosts")
@pytest.mark.parametrize(
    "text",
    [
        "",
        ":53",
        "10.0.0.2:",
        "10.0.0.2:0",
        "10.0.0.2:65536",
        "10.0.0.2:x",
        "10.0.0.2:٥",
        "[10.0.0.2]",
        "[::1",
        "::1]:53",
        "[::1]x:53",
        "1::2::3",
        "10.0.0.2\n",
        "ns.example.com 10.0.0.2",
        "[::1]:-1",
    ],
)
def test_what_is_no_name_server_is_refused(text: str) -> None:
    """The error shows the three forms."""
    with pytest.raises(UsageError, match="write HOST, HOST:PORT"):
        NameServer.parse(text)


@pytest.mark.usefixtures("_known_hosts")
def test_an_unknown_host_is_no_name_server() -> None:
    """The system's resolver was asked, and does not know it."""
    with pytest.raises(Unavailable, match="address is not known"):
        NameServer.parse("nowhere.example.com")


def test_the_systems_name_servers(tmp_path: Path) -> None:
    """Lines that say anything else, or nothing legal, are passed over."""
    path = tmp_path / "resolv.conf"
    path.write_text(
        "# comment\nsearch example.com\nnameserver 10.0.0.2\n nameserver\t::1 # x\n"
        "nameserver\nnameserver nonsense\noptions ndots:5\nnameserver fe80::1%lo\n"
    )

    assert [str(server) for server in system_nameservers(path)] == [
        "10.0.0.2:53",
        "[::1]:53",
        "[fe80::1%lo]:53",
    ]


@pytest.mark.parametrize("text", [None, "", "search example.com\n"])
def test_a_system_without_name_servers(tmp_path: Path, text: str | None) -> None:
    """It asks its own, as the system's resolver does; a resolver that does so notices others."""
    path = tmp_path / "resolv.conf"
    if text is not None:
        path.write_text(text)

    known = ResolvConf(path)

    assert system_nameservers(path) == known.servers(0.0) == (NameServer("127.0.0.1"),)
    write(path, "nameserver 10.0.0.2\n", 2)
    assert known.servers(CHECK) == (NameServer("10.0.0.2"),)


def test_a_host_that_is_not_unicode_is_not_known() -> None:
    """What the system's resolver cannot even be asked."""
    with pytest.raises(DnssdError):
        NameServer.parse("a" * 300 + ".example.com")


@pytest.mark.usefixtures("_known_hosts")
@given(st.one_of(st.text(max_size=30), st.from_regex(r"[\[\]0-9a-f:.%]{1,20}", fullmatch=True)))
def test_any_text_is_read_or_refused(text: str) -> None:
    """One line of printable characters says why; what was read is read again from its text."""
    try:
        (server,) = NameServer.parse(text)
    except DnssdError as error:
        message = str(error)
    else:
        message = str(server)
        assert NameServer.parse(message) == (server,)
    assert message.isprintable()


def write(path: Path, text: str, version: int) -> None:
    """Write a file, so that it differs from the version before it whatever the clock."""
    path.write_text(text)
    os.utime(path, (version, version))


def test_a_change_of_the_systems_name_servers_is_noticed(tmp_path: Path) -> None:
    """Within five seconds; not looked for more often than that."""
    path = tmp_path / "resolv.conf"
    write(path, "nameserver 10.0.0.2\n", 1)
    known = ResolvConf(path)
    old, new = (NameServer("10.0.0.2"),), (NameServer("10.0.0.3"),)

    assert known.servers(100.0) == old
    write(path, "nameserver 10.0.0.3\n", 2)
    assert known.servers(100.0 + CHECK - 0.1) == old
    assert known.servers(100.0 + CHECK) == new


def test_a_change_before_the_first_look_is_noticed(tmp_path: Path) -> None:
    """A resolver may be made long before it is used."""
    path = tmp_path / "resolv.conf"
    write(path, "nameserver 10.0.0.2\n", 1)
    known = ResolvConf(path)
    write(path, "nameserver 10.0.0.3\n", 2)

    assert known.servers(0.0) == (NameServer("10.0.0.3"),)


def test_a_file_that_is_being_written_changes_nothing(tmp_path: Path) -> None:
    """Empty, or gone for a moment: the former servers stay until there are others."""
    path = tmp_path / "resolv.conf"
    write(path, "nameserver 10.0.0.2\n", 1)
    known = ResolvConf(path)
    now = 100.0
    for text in ("", "search example.com\n", None, "nameserver nonsense\n"):
        if text is None:
            path.unlink()
        else:
            write(path, text, int(now))
        assert known.servers(now) == (NameServer("10.0.0.2"),)
        now += CHECK
    write(path, "nameserver ::1\n", int(now))

    assert known.servers(now) == (NameServer("::1"),)
