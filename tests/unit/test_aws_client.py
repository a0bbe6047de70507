"""Which endpoint of Route 53 a host asks: by its region and by the addresses that it can reach."""

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
    monkeypatch.setattr(client, "is_ipv6_only", lambda: False)

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


@pytest.mark.parametrize("is_ipv6_only", [True, False])
def test_a_host_with_ipv6_alone_finds_an_endpoint_that_has_it(
    is_ipv6_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No variable needs to be set for it."""
    monkeypatch.setattr(client, "is_ipv6_only", lambda: is_ipv6_only)

    found = endpoint(monkeypatch)
    assert found == (
        "https://route53.global.api.aws" if is_ipv6_only else "https://route53.amazonaws.com"
    )


IPV4, IPV6 = "169.254.169.254", "fd00:ec2::254"
ENDPOINT = "AWS_EC2_METADATA_SERVICE_ENDPOINT"


@pytest.mark.parametrize(
    ("ways", "environ", "expected"),
    [
        ({IPV4, IPV6}, {}, f"http://{IPV4}/"),
        ({IPV6}, {}, f"http://[{IPV6}]/"),
        (set(), {}, f"http://{IPV4}/"),
        ({IPV6}, {f"{ENDPOINT}_MODE": "IPv4"}, f"http://{IPV4}/"),
        ({IPV4}, {f"{ENDPOINT}_MODE": "IPv6"}, f"http://[{IPV6}]/"),
        ({IPV4, IPV6}, {ENDPOINT: "http://127.0.0.1:1"}, "http://127.0.0.1:1"),
    ],
)
def test_metadata_are_asked_where_there_is_a_way_to(
    ways: set[str], environ: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role's credentials come by IPv6 on a host that has nothing else."""
    monkeypatch.setattr(
        client, "source_for", lambda address: "a source" * (address in ways) or None
    )
    monkeypatch.delenv(ENDPOINT, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert client._metadata_url() == expected
    fetcher = InstanceMetadataRegionFetcher()  # which looks at no variable
    client._ask_directly(fetcher)
    assert fetcher.get_base_url() == expected
