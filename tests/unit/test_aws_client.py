"""Which endpoint of Route 53 a host asks: by its region and by the addresses that it can reach."""

from typing import NoReturn

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import CredentialRetrievalError, MetadataRetrievalError
from botocore.utils import ContainerMetadataFetcher, InstanceMetadataRegionFetcher

from dnssd.errors import UsageError
from dnssd.names import Name
from dnssd.zones.route53 import client
from dnssd.zones.route53.client import Session
from dnssd.zones.route53.zone import Route53Zone
from kit.interleaving import patient

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


@pytest.mark.parametrize(
    ("environ", "counts"),
    [
        ({"AWS_REGION": "eu west", "AWS_DEFAULT_REGION": "eu-west-1"}, "AWS_REGION"),
        ({"AWS_DEFAULT_REGION": "eu-west-1\n"}, "AWS_DEFAULT_REGION"),
        ({}, "the region of the AWS configuration or of this instance"),
    ],
)
def test_a_wrong_region_is_told_by_the_variable_that_counts(
    environ: dict[str, str], counts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks at the other one finds nothing wrong."""
    for name, value in (KEYS | environ).items():
        monkeypatch.setenv(name, value)
    session = Session({}, 1.0)
    assert session.region_from == counts
    zone = Route53Zone(session, "Z1", Name.parse("example.com"))
    if environ:
        with pytest.raises(UsageError, match=f"{counts} holds a (space|newline); write it anew"):
            zone.find_name(patient())


def test_containers_credentials_are_not_asked_for_beyond_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Botocore would sleep and try again by itself; whoever has a deadline does that here."""
    tries = []

    def fail(self: object, *_: object) -> NoReturn:
        tries.append(self)
        raise MetadataRetrievalError(error_msg="HTTP 500")

    monkeypatch.setattr(ContainerMetadataFetcher, "_get_response", fail)
    monkeypatch.setattr(ContainerMetadataFetcher, "SLEEP_TIME", 0)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")
    with pytest.raises(CredentialRetrievalError):
        Session({}, 1.0).client()

    assert len(tries) == 1
