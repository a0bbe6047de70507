import itertools
import socket
from collections.abc import Iterator
from http import HTTPStatus

import pytest
import requests
from botocore.utils import InstanceMetadataRegionFetcher

from dnssd.errors import UsageError
from dnssd.sandbox.metadata.instance import MAX_TOKENS, Instance, Metadata
from dnssd.sandbox.metadata.server import MetadataServer
from dnssd.sandbox.sandbox import Sandbox

PATIENCE = 60  # seconds until a test gives up; nothing waits that long
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"

PUBLIC = Instance(
    "i-0abc", "10.1.2.3", "192.0.2.7", "2001:db8::7", "eu-west-1", "eu-west-1b", "210987654321"
)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.time


@pytest.fixture
def clock() -> Clock:
    """A clock at any time."""
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[MetadataServer]:
    """The metadata of an instance that has everything."""
    with MetadataServer(Metadata(PUBLIC, now=clock)) as server:
        yield server


class Client:
    """What an instance does to read its metadata."""

    def __init__(self, server: MetadataServer) -> None:
        self.url = f"http://{server.host}:{server.port}"
        self.token = ""

    def put(self, path: str = "/latest/api/token", **headers: str) -> requests.Response:
        """PUT with these headers, underscores for hyphens."""
        return self._send("PUT", path, {k.replace("_", "-"): v for k, v in headers.items()})

    def get(self, path: str, **headers: str) -> requests.Response:
        """GET with the token."""
        return self._send("GET", path, {TOKEN: self.token, **headers})

    def log_in(self, seconds: int = 60) -> None:
        """Get a token."""
        response = self._send("PUT", "/latest/api/token", {TTL: str(seconds)})
        assert response.status_code == HTTPStatus.OK
        self.token = response.text

    def _send(self, method: str, path: str, headers: dict[str, str]) -> requests.Response:
        return requests.request(method, self.url + path, headers=headers, timeout=PATIENCE)


@pytest.fixture
def client(server: MetadataServer) -> Client:
    """A client with a token that holds for a minute."""
    client = Client(server)
    client.log_in()
    return client


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ("instance-id", "i-0abc"),
        ("local-ipv4", "10.1.2.3"),
        ("public-ipv4", "192.0.2.7"),
        ("ipv6", "2001:db8::7"),
        ("hostname", "ip-10-1-2-3.eu-west-1.compute.internal"),
        ("local-hostname", "ip-10-1-2-3.eu-west-1.compute.internal"),
        ("mac", "02:00:0a:01:02:03"),
        ("placement/region", "eu-west-1"),
        ("placement/availability-zone", "eu-west-1b"),
        ("network/interfaces/macs/02:00:0a:01:02:03/ipv6s", "2001:db8::7"),
    ],
)
def test_items_are_those_of_the_instance(client: Client, item: str, text: str) -> None:
    """Each is plain text at its path."""
    response = client.get(f"/latest/meta-data/{item}")

    assert (response.status_code, response.text) == (HTTPStatus.OK, text)
    assert response.headers["Content-Type"] == "text/plain"
    assert client.get(f"/latest/meta-data/{item}/").text == text  # as botocore asks


def test_what_the_instance_has_not_is_not_found(sandbox: Sandbox) -> None:
    """A missing public address is a 404, as are user-data and anything unknown."""
    client = Client(sandbox.metadata)
    client.log_in()

    for path in (
        "/latest/meta-data/public-ipv4",
        "/latest/meta-data/ipv6",
        "/latest/meta-data/network/interfaces/macs/02:00:0a:00:00:05/ipv6s",
        "/latest/meta-data/autoscaling/target-lifecycle-state",
        "/latest/user-data",
        "/latest/meta-data/instance-id/x",
        "/latest/meta-dat",
        "/other",
    ):
        assert client.get(path).status_code == HTTPStatus.NOT_FOUND, path


def test_directories_list_what_they_hold(client: Client) -> None:
    """One entry a line, directories with a slash."""
    listing = client.get("/latest/meta-data/").text.splitlines()

    assert {"instance-id", "network/", "placement/", "public-ipv4"} <= set(listing)
    assert client.get("/latest/meta-data").text.splitlines() == listing
    assert client.get("/latest/meta-data/placement/").text == "availability-zone\nregion"
    assert client.get("/latest/meta-data/network/interfaces/macs/").text == "02:00:0a:01:02:03/"


def test_the_identity_document_is_json(client: Client) -> None:
    """Account and region are read from here."""
    document = client.get("/latest/dynamic/instance-identity/document").json()

    assert {
        "accountId": "210987654321",
        "region": "eu-west-1",
        "availabilityZone": "eu-west-1b",
        "instanceId": "i-0abc",
        "privateIp": "10.1.2.3",
        "version": "2017-09-30",
    }.items() <= document.items()


@pytest.mark.parametrize("ttl", ["", "0", "-1", "21601", "1.5", "x", "²", "9" * 5000])
def test_a_token_needs_a_lifetime(client: Client, ttl: str) -> None:
    """1 to 21600 seconds; anything else is a bad request."""
    reply = Metadata(PUBLIC, now=Clock()).reply("PUT", "/latest/api/token", {TTL.lower(): ttl})

    assert reply.status == HTTPStatus.BAD_REQUEST
    assert client.put().status_code == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("seconds", [1, 21600])
def test_a_token_holds_for_its_lifetime(client: Client, clock: Clock, seconds: int) -> None:
    """And not a moment longer."""
    client.log_in(seconds)

    clock.time += seconds - 0.01
    assert client.get("/latest/meta-data/instance-id").status_code == HTTPStatus.OK
    clock.time += 0.01
    assert client.get("/latest/meta-data/instance-id").status_code == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("token", ["", "x", "é".encode("latin-1").decode("latin-1")])
def test_nothing_is_told_without_a_token(client: Client, token: str) -> None:
    """Not even whether there is such an item: there is no version 1."""
    client.token = token

    assert client.get("/latest/meta-data/instance-id").status_code == HTTPStatus.UNAUTHORIZED
    assert client.get("/other").status_code == HTTPStatus.UNAUTHORIZED


def test_a_request_through_a_proxy_is_forbidden(client: Client) -> None:
    """A proxy on the instance must not hand its identity on."""
    assert client.put(**{"X-Forwarded-For": "10.0.0.9", TTL: "60"}).status_code == (
        HTTPStatus.FORBIDDEN
    )
    response = client.get("/latest/meta-data/instance-id", **{"X-Forwarded-For": "10.0.0.9"})
    assert response.status_code == HTTPStatus.FORBIDDEN


def test_other_methods_are_not_allowed(client: Client) -> None:
    """Metadata is read, tokens are put."""
    assert client.put("/latest/meta-data/instance-id").status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert client.get("/latest/api/token").status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert requests.post(client.url, timeout=PATIENCE).status_code == HTTPStatus.METHOD_NOT_ALLOWED


def test_the_oldest_token_makes_room(clock: Clock) -> None:
    """Tokens are bounded in number."""
    numbers = itertools.count()
    metadata = Metadata(PUBLIC, now=clock, make_token=lambda: f"token-{next(numbers)}")
    for _ in range(MAX_TOKENS + 1):
        metadata.reply("PUT", "/latest/api/token", {TTL.lower(): "60"})

    def status(token: str) -> int:
        headers = {TOKEN.lower(): token}
        return metadata.reply("GET", "/latest/meta-data/mac", headers).status

    assert status("token-0") == HTTPStatus.UNAUTHORIZED
    assert status("token-1") == status(f"token-{MAX_TOKENS}") == HTTPStatus.OK


def test_botocore_finds_its_region(server: MetadataServer) -> None:
    """A client that this project did not write gets along with it."""
    fetcher = InstanceMetadataRegionFetcher(
        base_url=f"http://{server.host}:{server.port}", env={}, num_attempts=1
    )

    assert fetcher.retrieve_region() == "eu-west-1"


@pytest.mark.parametrize(
    "request_text", [b"\0\xff\r\n\r\n", b"GET\r\n\r\n", b"BREW / HTTP/1.1\r\n\r\n"]
)
def test_garbage_is_a_bad_request(server: MetadataServer, request_text: bytes) -> None:
    """And the next request is answered."""
    with socket.create_connection((server.host, server.port), PATIENCE) as connection:
        connection.sendall(request_text)
        with connection.makefile("rb") as stream:
            assert b"40" in stream.read() or request_text.startswith(b"BREW")

    Client(server).log_in()


@pytest.mark.parametrize(
    ("private_ip", "public_ip", "ipv6"),
    [("10.0.0", None, None), ("::1", None, None), ("10.0.0.1", "x", None), ("10.0.0.1", None, "1")],
)
def test_an_instance_has_real_addresses(
    private_ip: str, public_ip: str | None, ipv6: str | None
) -> None:
    """A typing error on the command line is noticed there."""
    with pytest.raises(UsageError, match=r"an IPv[46] address is needed"):
        Instance("i-0abc", private_ip, public_ip, ipv6)
