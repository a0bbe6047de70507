r"""The least-privilege IAM policies of hosts, and of who takes the dead out, in a Route 53 zone.

IAM compares names as Route 53 normalises them: in lower case, without the last dot, each
byte but `a-z 0-9 - _` as `\` and three octal digits. So no byte of a name can be IAM's `*`,
`?` or `$`: those in a policy are its author's.

Sources: the condition keys of Route 53 in its Developer Guide, IAM's quotas.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dnssd.errors import UsageError
from dnssd.names import Name, shown
from dnssd.services import Service, instance_label
from dnssd.zones.route53.text import write_name

MAX_POLICY = 10_240  # characters without white space: a role's inline policies together

_KEY = "route53:ChangeResourceRecordSets"  # the action, and how its condition keys begin
_NAMES, _TYPES, _ACTIONS = (
    _KEY + what for what in ("NormalizedRecordNames", "RecordTypes", "Actions")
)
_HOSTS = re.compile(r"[a-z0-9_*?-]{1,63}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What hosts may write.

    Attributes:
        service: The one service that they offer; None for plain addresses alone, or, with
            `reap`, for any.
        zone_id: The hosted zone's ID.
        domain: The zone's apex.
        addresses: Names that they may join, each with what its member records stand below.
        instances: The service instances that they may join; none for all of the service.
        hosts: Patterns for the labels of their names, with IAM's `*` and `?`.
        wait: Whether they may also ask if a change is being served.
        plain_name: Whether they may lead plain names to the service's instances.
        agent: Whether agents run there: they wait, too, and complete lifecycle hooks.
        reap: Whether they take dead hosts out, and ask EC2 who is dead.
        partition: The part of AWS that the zone is in, such as `aws-us-gov`.

    Raises:
        UsageError: A pattern is none.
        MalformedName: A name is too long, or an instance is none.
    """

    service: Service | None
    zone_id: str
    domain: Name
    addresses: Mapping[Name, Name] = field(default_factory=dict)
    instances: Sequence[str] = ()
    hosts: Sequence[str] = ("i-*",)
    wait: bool = False
    plain_name: bool = False
    agent: bool = False
    reap: bool = False
    partition: str = "aws"

    def policy(self) -> dict[str, Any]:
        """The IAM policy document.

        Raises:
            UsageError: IAM takes no document of that size.
        """
        zone = f"arn:{self.partition}:route53:::hostedzone/{self.zone_id}"
        waiting = [_allow("route53:GetChange", f"arn:{self.partition}:route53:::change/*")]
        groups = f"arn:{self.partition}:autoscaling:*:*:autoScalingGroup:*"
        hooks = [_allow("autoscaling:CompleteLifecycleAction", groups)]
        document = {
            "Version": "2012-10-17",
            "Statement": [
                _allow("route53:ListResourceRecordSets", zone),
                *(waiting if self.wait or self.agent else ()),
                *(_allow(_KEY, zone) | {"Condition": each} for each in self._conditions()),
                *(hooks if self.agent else ()),
                *([_allow("ec2:DescribeInstances", "*")] if self.reap else ()),
            ],
        }
        size = len("".join(json.dumps(document).split()))
        if size > MAX_POLICY:
            raise UsageError(
                f"policy: {size} characters, and IAM takes {MAX_POLICY}; name fewer instances "
                "and hosts, or none for all of the service"
            )
        return document

    @property
    def is_unbounded(self) -> bool:
        """Whether some pattern for hosts is about every name in the zone."""
        return bool(self.service or self.reap) and any(
            not pattern.strip("*?") for pattern in self.hosts
        )

    def _conditions(self) -> Iterator[dict[str, Any]]:
        services = ["PTR", "SRV"] if self.service or self.reap else []
        yield _only(self._names(), [*services, "TXT", "A", "AAAA"])
        if self.plain_name and self.service:  # apart: above, any name there could be an alias
            below = self.service.in_domain(Name(()))
            hosts = [instance_label(each) for each in self.instances]
            names = [normalized(self.domain.child(*below.labels, host)) for host in hosts]
            anywhere = f"{normalized(below)}.*.{normalized(self.domain)}"
            yield _only(names or [anywhere], ["CNAME"])

    def _names(self) -> list[str]:
        names = self._of_services()
        for name, parent in self.addresses.items():
            names += [normalized(name), f"*.{normalized(parent)}"]
        return list(dict.fromkeys(names))

    def _of_services(self) -> list[str]:
        hosts = [f"{_pattern(hosts)}.{normalized(self.domain)}" for hosts in self.hosts]
        if self.service is None:
            every = [f"*.{kind}.{normalized(self.domain)}" for kind in ("_tcp", "_udp")]
            return [*every, *hosts] if self.reap else []
        browse = self.service.in_domain(self.domain)
        names = [normalized(self.service.enumeration_in(self.domain)), normalized(browse)]
        for instance in self.instances:
            name = normalized(browse.child(instance_label(instance)))
            names += [name, f"*.{name}"]  # itself, and its member records
        if not self.instances:
            names.append(f"*.{normalized(browse)}")
        return names + hosts


def _only(names: Sequence[str], types: Sequence[str]) -> dict[str, Any]:
    """The condition of changes to these names and types, and to no others."""
    return {
        "ForAllValues:StringLike": {_NAMES: names},
        "ForAllValues:StringEquals": {
            _TYPES: types,
            _ACTIONS: ["CREATE", "DELETE"],  # no UPSERT: nothing is overwritten blindly
        },
        # ForAllValues holds where a key is absent: ask for its presence
        "Null": dict.fromkeys((_NAMES, _TYPES, _ACTIONS), "false"),
    }


def normalized(name: Name) -> str:
    r"""A name as IAM's condition keys have it: `my\040web._http._tcp.example.com`."""
    return write_name(name.lower()).removesuffix(".")


def _allow(action: str, resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def _pattern(hosts: str) -> str:
    if not _HOSTS.fullmatch(hosts.lower()):
        raise UsageError(
            f"host pattern {shown(hosts)}: one label is needed, of letters, digits, hyphens, "
            "and * and ? for any others"
        )
    return hosts.lower()
