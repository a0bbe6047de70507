"""What AWS says of instances. Beside zones/route53, the one module that loads boto3.

EC2's word is believed only as far as it goes: an error, an empty listing or another account
say nothing about an instance.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from dnssd.errors import AccessDenied, DnssdError, Unavailable, UsageError
from dnssd.hosts.labels import account_digest

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_sts import STSClient

PAGE = 1000  # instances, the most that EC2 lists at once
ABSENT = "absent"  # the word for an instance that a whole listing does not hold

_DENIED = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}


@dataclass(frozen=True, slots=True)
class Ec2Instance:
    """The EC2 instance that an owner names: `ec2/ACCOUNT/REGION/INSTANCE`.

    The account is its number, or a digest of that.
    """

    account: str
    region: str
    id: str

    @classmethod
    def of_owner(cls, owner: str) -> Self | None:
        """Read an owner; None if it is not an EC2 instance."""
        cloud, _, rest = owner.partition("/")
        parts = rest.split("/")
        if cloud != "ec2" or len(parts) != 3 or not all(parts):
            return None
        return cls(*parts)

    def is_in(self, account: str) -> bool:
        """Whether it is in the account of that number."""
        return self.account in (account, account_digest(account))


class Ec2:
    """Asks EC2 about instances, with the credentials that every AWS tool uses."""

    def __init__(self, profile: str | None = None) -> None:
        self._profile = profile

    def words(self, owners: Iterable[str]) -> Mapping[str, str]:
        """The state of each owner's instance.

        Args:
            owners: As member records name them; those that are no instance of the caller's
                account are left out of the result.

        Returns:
            EC2's word (`running`, `stopped`, `terminated`, …), or `ABSENT` where the whole
            region was listed, held instances, and this one was not among them.

        Raises:
            Unavailable: No answer; nothing is known then.
            AccessDenied: The credentials do not allow it.
        """
        instances = {owner: Ec2Instance.of_owner(owner) for owner in owners}
        asked = {owner: one for owner, one in instances.items() if one}
        if not asked:
            return {}
        account = self._account(next(iter(asked.values())).region)
        own = {owner: one for owner, one in asked.items() if one.is_in(account)}
        words: dict[str, str] = {}
        for region in sorted({one.region for one in own.values()}):
            states = self._states(region)
            if states:  # an empty region is more likely a wrong one
                here = (owner for owner, one in own.items() if one.region == region)
                words.update((owner, states.get(own[owner].id, ABSENT)) for owner in here)
        return words

    def _account(self, region: str) -> str:
        client = cast("STSClient", _client("sts", region, self._profile))
        return str(_asked(client.get_caller_identity, "sts:GetCallerIdentity")["Account"])

    def _states(self, region: str) -> dict[str, str]:
        """Every instance of a region, page by page."""
        client = cast("EC2Client", _client("ec2", region, self._profile))
        states: dict[str, str] = {}
        more: dict[str, Any] = {}
        while True:
            page = _asked(
                client.describe_instances, "ec2:DescribeInstances", MaxResults=PAGE, **more
            )
            for reservation in page["Reservations"]:
                for instance in reservation["Instances"]:
                    states[instance["InstanceId"]] = instance["State"]["Name"]
            if not page.get("NextToken"):
                return states
            more = {"NextToken": page["NextToken"]}


def complete_lifecycle_action(group: str, hook: str, instance: Ec2Instance) -> None:
    """Let Auto Scaling go on with an instance that waits for a lifecycle hook.

    Again does no harm: an action that has been completed, or has timed out, is done.

    Args:
        group: The Auto Scaling group.
        hook: The lifecycle hook.
        instance: Which.

    Raises:
        Unavailable: It was not done; the message says why.
        AccessDenied: The credentials do not allow it.
    """
    client = cast("AutoScalingClient", _client("autoscaling", instance.region, None))
    try:
        _asked(
            client.complete_lifecycle_action,
            "autoscaling:CompleteLifecycleAction",
            AutoScalingGroupName=group,
            LifecycleHookName=hook,
            InstanceId=instance.id,
            LifecycleActionResult="CONTINUE",
        )
    except Unavailable as error:
        if "No active Lifecycle Action" not in str(error):
            raise


def _client(
    service: Literal["autoscaling", "ec2", "sts"], region: str, profile: str | None
) -> object:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 5},
    )
    try:
        session = boto3.Session(profile_name=profile)
        make: Callable[..., object] = session.client
        return make(service, region_name=region, config=config)
    except (BotoCoreError, ValueError) as error:
        raise UsageError(f"AWS: {_line(error)}; check the AWS configuration") from error


def _asked(call: Any, action: str, **arguments: Any) -> Any:
    """Call AWS and translate its errors."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call(**arguments)
    except ClientError as error:
        told = _translated(error.response.get("Error", {}), action)
        raise told.about(server=action.partition(":")[0]) from error
    except BotoCoreError as error:
        advice = "check the network and the AWS credentials"
        what = f"{action}: {_line(error)}; {advice}"
        raise Unavailable(what, server=action.partition(":")[0]) from error


def _translated(said: Mapping[str, Any], action: str) -> DnssdError:
    code, text = said.get("Code", "error"), " ".join(str(said.get("Message", "")).split())
    if code in _DENIED:
        return AccessDenied(f"{action}: denied: {text}; allow {action} on *")
    return Unavailable(f"{action}: {code}: {text}; try again later")


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
