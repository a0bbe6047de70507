"""What EC2 is about to do with this instance, by its metadata: spot, rebalance, Auto Scaling.

A notice that is not there is a 404, and most are never there; so are the state outside a group
and the tags of an instance that shows none.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dnssd.deadline import Deadline
from dnssd.hosts.imds import Imds, Settings

_METADATA = "/latest/meta-data/"
GROUP_TAG = "aws:autoscaling:groupName"


@dataclass(frozen=True, slots=True)
class Notice:
    """What is said of an instance's life.

    Attributes:
        interrupted: Whether spot capacity is taken back within two minutes.
        rebalance: Whether that has become likely.
        target: The state that its Auto Scaling group leads it to, such as `InService`,
            `Terminated`, `Standby`, `Warmed:Stopped`; None without a group.
    """

    interrupted: bool = False
    rebalance: bool = False
    target: str | None = None

    @property
    def takes_part(self) -> bool:
        """Whether it is to be in use."""
        away = self.target in ("Terminated", "Standby") or (self.target or "").startswith("Warmed:")
        return not self.interrupted and not away


def notice(environ: Mapping[str, str], deadline: Deadline) -> Notice:
    """Ask once.

    Raises:
        Unavailable: The metadata do not answer.
        UsageError: A variable is malformed.
    """
    imds = Imds(Settings.from_environ(environ), deadline)
    target = imds.get(f"{_METADATA}autoscaling/target-lifecycle-state")
    return Notice(
        interrupted=imds.get(f"{_METADATA}spot/instance-action") is not None,
        rebalance=imds.get(f"{_METADATA}events/recommendations/rebalance") is not None,
        target=target.strip() if target else None,
    )


def group(environ: Mapping[str, str], deadline: Deadline) -> str | None:
    """The instance's Auto Scaling group, if its metadata show tags.

    Raises:
        Unavailable: The metadata do not answer.
    """
    imds = Imds(Settings.from_environ(environ), deadline)
    return imds.get(f"{_METADATA}tags/instance/{GROUP_TAG}")
