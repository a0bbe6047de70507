"""What EC2 says of instances is believed only as far as it goes."""

from collections.abc import Iterator

import pytest

from dnssd.errors import AccessDenied, Unavailable
from dnssd.hosts.aws import ABSENT, Ec2
from dnssd.hosts.labels import account_digest
from kit.ec2 import ACCOUNT, FakeEc2, fake_ec2

REGION = "us-west-2"


def owner(instance: str, account: str = ACCOUNT, region: str = REGION) -> str:
    """What a member record says of an EC2 host."""
    return f"ec2/{account}/{region}/{instance}"


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEc2]:
    """A double that boto3 finds by the environment."""
    with fake_ec2() as double:
        monkeypatch.setenv("AWS_ENDPOINT_URL", double.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield double


def test_each_instance_has_its_word(ec2: FakeEc2) -> None:
    """The state is EC2's; what a whole listing lacks is absent."""
    ec2.states = {"i-1": "running", "i-2": "terminated"}

    owners = [owner("i-1"), owner("i-2", account=account_digest(ACCOUNT)), owner("i-3")]

    assert Ec2().words(owners) == dict(zip(owners, ("running", "terminated", ABSENT), strict=True))


def test_a_region_is_listed_page_by_page(ec2: FakeEc2) -> None:
    """5,000 instances are five pages, and an instance on the last one is not absent."""
    ec2.states = {f"i-{number}": "running" for number in range(5000)}

    words = Ec2().words([owner("i-4999")])

    assert words == {owner("i-4999"): "running"}
    assert ec2.calls == ["GetCallerIdentity", *["DescribeInstances"] * 5]


def test_nothing_is_said_of_other_accounts_clouds_and_machines(ec2: FakeEc2) -> None:
    """Whom EC2 cannot know of is not absent, but unknown."""
    ec2.states = {"i-1": "running"}
    others = ["host/5d1d78/web-1", "gce/proj/zone/1", "ec2/x", owner("i-9", account="210987654321")]

    assert Ec2().words(others) == {}


def test_an_empty_region_says_nothing(ec2: FakeEc2) -> None:
    """No instance at all is more likely a wrong region or wrong credentials than the truth."""
    assert Ec2().words([owner("i-1")]) == {}


def test_a_page_that_fails_in_the_middle_says_nothing(ec2: FakeEc2) -> None:
    """Half a listing is no listing: nothing is absent from it."""
    ec2.states = {f"i-{number}": "running" for number in range(20)}
    ec2.page = 5
    ec2.failures = [None, None, "UnauthorizedOperation"]

    with pytest.raises(AccessDenied, match="allow ec2:DescribeInstances"):
        Ec2().words([owner("i-19")])


def test_throttling_is_waited_out(ec2: FakeEc2, monkeypatch: pytest.MonkeyPatch) -> None:
    """A throttled page is asked for again; steady throttling says nothing."""
    backoff = "botocore.retries.standard.ExponentialBackoff.delay_amount"
    monkeypatch.setattr(backoff, lambda *_: 0)
    ec2.states = {"i-1": "running"}
    ec2.failures = [None, "RequestLimitExceeded"]
    assert Ec2().words([owner("i-1")]) == {owner("i-1"): "running"}

    ec2.failures = [None, *["RequestLimitExceeded"] * 5]
    with pytest.raises(Unavailable, match="RequestLimitExceeded"):
        Ec2().words([owner("i-1")])
