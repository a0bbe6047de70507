"""Which endpoint of Route 53 a host asks: by its region and by the addresses that it can reach."""

import socket
from typing import NoReturn

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.utils import InstanceMetadataRegionFetcher

from dnssd.zones.route53 import client
from dnssd.zones.route53.client import Session

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


def endpoint(monkeypatch: pytest.MonkeyPatch, **environ: str) -> str:
    """Where a client with these variables sends its requests."""
    for name, value in (KEYS | environ).items():
        monkeypatch.setenv(name, value)
    route53 = Session({}, 1.0).client()
    urls = []

    def note(request: AWSPreparedRequest, **_: object) -> NoReturn:
        urls.append(request.url)
        raise InterruptedError

    route53.meta.events.register("before-send", note)
    with pytest.raises(InterruptedError):
        route53.list_hosted_zones()
    return urls[0].partition("/2013-04-01")[0]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "https://route53.amazonaws.com"),
        ({"AWS_REGION": "cn-north-1"}, "https://route53.amazonaws.com.cn"),
        ({"AWS_DEFAULT_REGION": "us-gov-west-1"}, "https://route53.us-gov.amazonaws.com"),
        (
            {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "cn-north-1"},
            "https://route53.amazonaws.com",
        ),
        ({"AWS_ENDPOINT_URL_ROUTE_53": "http://127.0.0.1:1"}, "http://127.0.0.1:1"),
    ],
)
def test_the_region_tells_the_partition(
    environ: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS_REGION counts before AWS_DEFAULT_REGION, as for the other SDKs."""
    monkeypatch.setattr(client, "_is_ipv6_only", lambda: False)

    assert endpoint(monkeypatch, **environ) == expected


@pytest.mark.parametrize(
    ("method", "region", "expected"),
    [
        ("iam-role", "cn-north-1", "cn-north-1"),
        ("iam-role", "<html>", "us-east-1"),
        ("iam-role", None, "us-east-1"),
        ("env", "cn-north-1", "us-east-1"),
    ],
)
def test_an_instance_is_asked_for_its_region(
    method: str, region: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where its role is what gives the credentials: nobody else is there to be asked."""
    monkeypatch.setattr(InstanceMetadataRegionFetcher, "retrieve_region", lambda _: region)

    class Made:
        region_name = None

        @staticmethod
        def get_credentials() -> "Made":
            return Made()

    monkeypatch.setattr(Made, "method", method, raising=False)

    found = client._region(Made())  # type: ignore[arg-type]  # all that is asked of a session
    assert found == expected


@pytest.mark.parametrize(
    ("routes", "is_dual"), [({socket.AF_INET6}, True), ({socket.AF_INET}, False), (set(), False)]
)
def test_a_host_with_ipv6_alone_finds_an_endpoint_that_has_it(
    routes: set[socket.AddressFamily], is_dual: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No variable needs to be set for it."""
    monkeypatch.setattr(client, "_has_route", lambda family, _: family in routes)

    found = endpoint(monkeypatch)
    assert found == (
        "https://route53.global.api.aws" if is_dual else "https://route53.amazonaws.com"
    )
