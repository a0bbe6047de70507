"""What a batch of changes makes of a zone, or why none of it may be applied.

The edits are tried one after the other, each on the zone as those before it left it, so a
DELETE that stands before a CREATE makes room for it. All objections are collected.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import takewhile
from operator import attrgetter

from dnssd.names import Name
from dnssd.sandbox.api.rejections import invalid_batch
from dnssd.sandbox.api.rrsets import Action, Edit, HostedRRset, Key, described, listing_key
from dnssd.sandbox.api.validation import rrset_problems
from dnssd.zones.route53.text import write_name

MAX_RECORDS = 1000  # values in one batch; those of an UPSERT count twice
MAX_CHARACTERS = 32_000  # of the values in one batch; likewise
MAX_SETS = 100  # RRsets of one name and type

RRsets = Sequence[HostedRRset]  # in the order of a listing

_ORDERS = ([Action.CREATE], [Action.DELETE], [Action.UPSERT], [Action.DELETE, Action.CREATE])
_POLICIES = {"MultiValueAnswer": "multivalue answer", "Weight": "weighted"}  # in a message


def apply_batch(origin: Name, rrsets: RRsets, edits: Sequence[Edit], limit: int) -> RRsets:
    """The RRsets of a zone after `edits`.

    Args:
        origin: The zone's name.
        rrsets: What the zone holds.
        edits: In the order in which they were sent.
        limit: How many RRsets the zone may hold.

    Raises:
        Rejection: InvalidChangeBatch.
    """
    _check_size(edits)
    return apply_edits(origin, rrsets, edits, limit)


def apply_edits(origin: Name, rrsets: RRsets, edits: Sequence[Edit], limit: int) -> RRsets:
    """The same as `apply_batch`, with as many edits as may be.

    Raises:
        Rejection: InvalidChangeBatch.
    """
    changed = list(rrsets)
    misordered = _misordered(edits)
    messages = [
        "The request contains an invalid set of changes for a resource record set "
        f"'{rdtype} {name}'"
        for name, rdtype in misordered.values()
    ]
    for edit in edits:
        found = _rrset_problems(origin, edit.rrset)
        if not found and edit.rrset.key not in misordered:
            found = _objections(origin, changed, edit)
            if not found:
                _apply(changed, edit)
        messages += found
    messages = messages or _zone_problems(origin, changed, limit)
    if messages:
        raise invalid_batch(messages)
    return tuple(changed)


def since(rrsets: RRsets, key: Key) -> Iterator[HostedRRset]:
    """The RRsets at `key` and after it, in the order of a listing."""
    return map(rrsets.__getitem__, range(_place(rrsets, key), len(rrsets)))


def node(rrsets: RRsets, name_key: str) -> Iterator[HostedRRset]:
    """The RRsets at exactly the name with this listing key."""
    return takewhile(lambda rrset: rrset.key[0] == name_key, since(rrsets, (name_key, "", "")))


def _place(rrsets: RRsets, key: Key) -> int:
    return bisect_left(rrsets, key, key=attrgetter("key"))


def _check_size(edits: Sequence[Edit]) -> None:
    records = characters = 0
    for edit in edits:
        times = 2 if edit.action is Action.UPSERT else 1
        records += times * max(1, len(edit.rrset.texts))
        characters += times * sum(map(len, edit.rrset.texts))
    messages = []
    if records > MAX_RECORDS:
        messages.append(f"Number of records limit of {MAX_RECORDS} exceeded.")
    if characters > MAX_CHARACTERS:
        messages.append(f"RDATA character limit of {MAX_CHARACTERS} exceeded.")
    if messages:
        raise invalid_batch(messages)


def _misordered(edits: Sequence[Edit]) -> dict[Key, tuple[str, str]]:
    """The RRsets that a batch touches more than once, other than to swap them."""
    actions: dict[Key, list[Action]] = {}
    for edit in edits:
        actions.setdefault(edit.rrset.key, []).append(edit.action)
    return {
        edit.rrset.key: (write_name(edit.rrset.name), edit.rrset.rdtype)
        for edit in edits
        if actions[edit.rrset.key] not in _ORDERS
    }


def _rrset_problems(origin: Name, rrset: HostedRRset) -> list[str]:
    """What is wrong with an RRset, whatever the zone holds."""
    name, problems = write_name(rrset.name), rrset_problems(rrset)
    if not rrset.name.is_below(origin):
        problems.append(f"RRSet with DNS name {name} is not permitted in zone {write_name(origin)}")
    elif rrset.rdtype == "SOA" and rrset.name != origin:
        problems.append(
            f"RRSet of type SOA with DNS name {name} is permitted only at the apex of zone "
            f"{write_name(origin)}"
        )
    elif rrset.rdtype == "CNAME" and rrset.name == origin:
        problems.append(
            f"RRSet of type CNAME with DNS name {name} is not permitted at apex in zone "
            f"{write_name(origin)}"
        )
    return problems


def _objections(origin: Name, rrsets: RRsets, edit: Edit) -> list[str]:
    """Why `edit` cannot be made on `rrsets`."""
    rrset, present = edit.rrset, list(node(rrsets, edit.rrset.key[0]))
    current = next((other for other in present if other.key == rrset.key), None)
    if edit.action is Action.DELETE:
        if current is None:
            return [f"Tried to delete {described(rrset)} but it was not found"]
        if not current.matches(rrset):
            return [
                f"Tried to delete {described(rrset)} but the values provided do not match the "
                "current values"
            ]
        return []
    if edit.action is Action.CREATE and current is not None:
        return [f"Tried to create {described(rrset)} but it already exists"]
    others = [other for other in present if other is not current]
    return _cname_problems(origin, rrset, others) or _routing_problems(
        rrset, [other for other in others if other.rdtype == rrset.rdtype]
    )


def _apply(rrsets: list[HostedRRset], edit: Edit) -> None:
    place = _place(rrsets, edit.rrset.key)
    present = place < len(rrsets) and rrsets[place].key == edit.rrset.key
    rrsets[place : place + present] = [] if edit.action is Action.DELETE else [edit.rrset]


def _cname_problems(origin: Name, rrset: HostedRRset, others: RRsets) -> list[str]:
    """A CNAME stands alone at its name (RFC 1034 section 3.6.2)."""
    start = f"RRSet of type {rrset.rdtype} with DNS name {write_name(rrset.name)} is not permitted"
    types = {other.rdtype for other in others}
    if rrset.rdtype == "CNAME" and types - {"CNAME"}:
        return [
            f"{start} as it conflicts with other records with the same DNS name in zone "
            f"{write_name(origin)}"
        ]
    if rrset.rdtype != "CNAME" and "CNAME" in types:
        return [
            f"{start} because a conflicting RRSet of type CNAME with the same DNS name already "
            f"exists in zone {write_name(origin)}"
        ]
    return []


def _routing_problems(rrset: HostedRRset, others: RRsets) -> list[str]:
    """RRsets of one name and type follow one routing policy."""
    start = f"RRSet with DNS name {write_name(rrset.name)}, type {rrset.rdtype}"
    if not rrset.policy:
        if others:
            return [f"{start} cannot be created as other RRSets exist with the same name and type."]
        return []
    start = f'{start}, SetIdentifier "{rrset.set_identifier}" cannot be created'
    if any(other.policy != rrset.policy for other in others):
        kind = _POLICIES.get(rrset.policy, rrset.policy.lower())
        return [f"{start} because a non {kind} rrset exists with the same name and type."]
    if len(others) >= MAX_SETS:
        return [f"{start} because {MAX_SETS} rrsets exist with the same name and type."]
    return []


def _zone_problems(origin: Name, rrsets: RRsets, limit: int) -> list[str]:
    """What is wrong with the zone as a whole after the batch."""
    problems = []
    types = {rrset.rdtype for rrset in node(rrsets, listing_key(origin.key))}
    if "SOA" not in types:
        problems.append("A HostedZone must contain exactly one SOA record.")
    if "NS" not in types:
        problems.append("A HostedZone must contain at least one NS record for the zone itself.")
    if len(rrsets) > limit:
        problems.append(f"Number of resource record sets limit of {limit} exceeded in zone.")
    return problems
