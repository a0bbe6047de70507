"""What `dnssd status` says of an instance, as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dnssd.cli.output import txt_json
from dnssd.members import Member, format_time
from dnssd.names import Name
from dnssd.records import Txt
from dnssd.registration.plainname import Told
from dnssd.registration.views import InstanceView
from dnssd.services import PROTOCOLS, ServiceType


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known of instances beside their own records.

    Attributes:
        addresses: Of their members' targets; those of other zones are not known.
        plain: The plain names that lead to them, by instance.
    """

    addresses: Mapping[Name, tuple[str, ...]]
    plain: Mapping[Name, Told]


def is_plain(view: InstanceView) -> bool:
    """Whether it is a service itself, which has SRV records of another hand."""
    return view.name.labels[1].lower().decode(errors="replace") in PROTOCOLS


def plain_name_json(told: Told) -> dict[str, Any]:
    """What is so of a plain name."""
    return {"name": str(told.name), "state": told.state, "why": told.why}


def service_json(
    service: ServiceType, views: Sequence[InstanceView], beside: Beside
) -> dict[str, Any]:
    """A service with its instances."""
    instances = []
    for view in views:
        txt = view.txt.values[0] if view.txt else None
        data = txt_json(txt if isinstance(txt, Txt) else None)
        instances.append(instance_json(view, beside) | {"txt": data})
    return {"service": str(service), "instances": instances}


def instance_json(view: InstanceView, beside: Beside) -> dict[str, Any]:
    """An instance with its members."""
    plain = beside.plain.get(view.name)
    return {
        "name": str(view.name),
        "members": [
            _member_json(view, member, beside.addresses) for member in sorted_members(view)
        ],
        "unexplained": [value.format() for value in view.unexplained],
        "doubled": [value.format() for value in view.doubled],
        **({"plain_name": plain_name_json(plain)} if plain else {}),
    }


def _member_json(
    view: InstanceView, member: Member, addresses: Mapping[Name, tuple[str, ...]]
) -> dict[str, Any]:
    known = addresses.get(member.srv.target)
    return {
        "member": member.label,
        "owner": member.owner,
        "state": member.state,
        "published": member.srv in view.values,
        "since": format_time(member.since),
        "until": format_time(member.until) if member.until else None,
        "target": str(member.srv.target),
        "port": member.srv.port,
        "priority": member.srv.priority,
        "weight": member.srv.weight,
        "addresses": None if known is None else list(known),
    }


def sorted_members(view: InstanceView) -> list[Member]:
    """Its members, those that clients take first in front."""
    members = (member for member, _ in view.members.values())
    return sorted(members, key=lambda m: (m.srv.priority, m.label))
