"""What `dnssd status` says of an instance, as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from dnssd.cli.output import txt_json
from dnssd.members import Member, format_time
from dnssd.names import Name
from dnssd.records import Txt
from dnssd.registration.views import InstanceView
from dnssd.services import ServiceType


def service_json(
    service: ServiceType, views: Sequence[InstanceView], addresses: Mapping[Name, tuple[str, ...]]
) -> dict[str, Any]:
    """A service with its instances; `addresses` are those of the members' targets."""
    instances = []
    for view in views:
        txt = view.txt.values[0] if view.txt else None
        data = txt_json(txt if isinstance(txt, Txt) else None)
        instances.append(instance_json(view, addresses) | {"txt": data})
    return {"service": str(service), "instances": instances}


def instance_json(view: InstanceView, addresses: Mapping[Name, tuple[str, ...]]) -> dict[str, Any]:
    """An instance with its members; `addresses` are those of their targets."""
    return {
        "name": str(view.name),
        "members": [_member_json(view, member, addresses) for member in sorted_members(view)],
        "unexplained": [value.format() for value in view.unexplained],
        "doubled": [value.format() for value in view.doubled],
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
