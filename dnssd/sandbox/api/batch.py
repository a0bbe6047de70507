"""What a batch of changes makes of a zone, or why none of it may be applied.

The edits are tried one after the other, each on the zone as those before it left it, so a
DELETE that stands before a CREATE makes room for it. All objections are collected.
"""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from dnssd.names import Name
from dnssd.sandbox.api.rejections import invalid_batch
from dnssd.sandbox.api.rrsets import Action, Edit, Entry, listing_key
from dnssd.sandbox.api.sortedmap import Key, SortedMap
from dnssd.sandbox.api.validation import entry_problems
from dnssd.zones.route53.text import write_name

MAX_RECORDS = 1000  # values in one batch; those of an UPSERT count twice
MAX_CHARACTERS = 32_000  # of the values in one batch; likewise
MAX_SETS = 100  # RRsets of one name and type

Entries = SortedMap[Entry]

_ORDERS = ([Action.CREATE], [Action.DELETE], [Action.UPSERT], [Action.DELETE, Action.CREATE])
_LABELS = {"multivalue": "multivalue answer"}  # a routing policy in a message


def apply_batch(origin: Name, entries: Entries, edits: Sequence[Edit], limit: int) -> Entries:
    """The entries of a zone after `edits`.

    Args:
        origin: The zone's name.
        entries: What the zone holds.
        edits: In the order in which they were sent.
        limit: How many entries the zone may hold.

    Raises:
        Rejection: InvalidChangeBatch.
    """
    _check_size(edits)
    return apply_edits(origin, entries, edits, limit)


def apply_edits(origin: Name, entries: Entries, edits: Sequence[Edit], limit: int) -> Entries:
    """The same as `apply_batch`, with as many edits as may be.

    Raises:
        Rejection: InvalidChangeBatch.
    """
    misordered = _misordered(edits)
    messages = [
        "The request contains an invalid set of changes for a resource record set "
        f"'{rdtype} {name}'"
        for name, rdtype in misordered.values()
    ]
    for edit in edits:
        found = _edit_problems(origin, edit.entry)
        if not found and edit.entry.key not in misordered:
            found = _objections(origin, entries, edit)
            if not found:
                entries = _applied(entries, edit)
        messages += found
    messages = messages or _zone_problems(origin, entries, limit)
    if messages:
        raise invalid_batch(messages)
    return entries


def node(entries: Entries, name: Name) -> Iterator[Entry]:
    """The entries at exactly `name`."""
    key = listing_key(name)
    return takewhile(lambda entry: entry.key[0] == key, entries.since((key, "", "")))


def _check_size(edits: Sequence[Edit]) -> None:
    records = characters = 0
    for edit in edits:
        times = 2 if edit.action is Action.UPSERT else 1
        records += times * max(1, len(edit.entry.texts))
        characters += times * sum(map(len, edit.entry.texts))
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
        actions.setdefault(edit.entry.key, []).append(edit.action)
    return {
        edit.entry.key: (write_name(edit.entry.name), edit.entry.rdtype)
        for edit in edits
        if actions[edit.entry.key] not in _ORDERS
    }


def _edit_problems(origin: Name, entry: Entry) -> list[str]:
    """What is wrong with an entry, whatever the zone holds."""
    name, problems = write_name(entry.name), entry_problems(entry)
    if not entry.name.is_below(origin):
        problems.append(f"RRSet with DNS name {name} is not permitted in zone {write_name(origin)}")
    elif entry.rdtype == "SOA" and entry.name != origin:
        problems.append(
            f"RRSet of type SOA with DNS name {name} is permitted only at the apex of zone "
            f"{write_name(origin)}"
        )
    elif entry.rdtype == "CNAME" and entry.name == origin:
        problems.append(
            f"RRSet of type CNAME with DNS name {name} is not permitted at apex in zone "
            f"{write_name(origin)}"
        )
    return problems


def _objections(origin: Name, entries: Entries, edit: Edit) -> list[str]:
    """Why `edit` cannot be made on `entries`."""
    entry, current = edit.entry, entries.get(edit.entry.key)
    if edit.action is Action.DELETE:
        if current is None:
            return [f"Tried to delete {_described(entry)} but it was not found"]
        if not current.matches(entry):
            return [
                f"Tried to delete {_described(entry)} but the values provided do not match the "
                "current values"
            ]
        return []
    if edit.action is Action.CREATE and current is not None:
        return [f"Tried to create {_described(entry)} but it already exists"]
    others = [other for other in node(entries, entry.name) if other.key != entry.key]
    return _cname_problems(origin, entry, others) or _routing_problems(
        entry, [other for other in others if other.rdtype == entry.rdtype]
    )


def _applied(entries: Entries, edit: Edit) -> Entries:
    if edit.action is Action.DELETE:
        return entries.drop(edit.entry.key)
    return entries.put(edit.entry.key, edit.entry)


def _cname_problems(origin: Name, entry: Entry, others: Sequence[Entry]) -> list[str]:
    """A CNAME stands alone at its name (RFC 1034 section 3.6.2)."""
    start = f"RRSet of type {entry.rdtype} with DNS name {write_name(entry.name)} is not permitted"
    types = {other.rdtype for other in others}
    if entry.rdtype == "CNAME" and types - {"CNAME"}:
        return [
            f"{start} as it conflicts with other records with the same DNS name in zone "
            f"{write_name(origin)}"
        ]
    if entry.rdtype != "CNAME" and "CNAME" in types:
        return [
            f"{start} because a conflicting RRSet of type CNAME with the same DNS name already "
            f"exists in zone {write_name(origin)}"
        ]
    return []


def _routing_problems(entry: Entry, others: Sequence[Entry]) -> list[str]:
    """RRsets of one name and type follow one routing policy."""
    start = f"RRSet with DNS name {write_name(entry.name)}, type {entry.rdtype}"
    if not entry.routing.set_identifier:
        if others:
            return [f"{start} cannot be created as other RRSets exist with the same name and type."]
        return []
    start = f'{start}, SetIdentifier "{entry.routing.set_identifier}" cannot be created'
    (kind,) = entry.routing.kinds
    if any(other.routing.kinds != (kind,) for other in others):
        return [
            f"{start} because a non {_LABELS.get(kind, kind)} rrset exists with the same name "
            "and type."
        ]
    ttls = {other.rrset.ttl for other in others if not other.routing.alias}
    if kind == "weighted" and not entry.routing.alias and ttls - {entry.rrset.ttl}:
        return [f"{start} as weighted sets must contain the same TTL."]
    if len(others) >= MAX_SETS:
        return [f"{start} because {MAX_SETS} rrsets exist with the same name and type."]
    return []


def _zone_problems(origin: Name, entries: Entries, limit: int) -> list[str]:
    """What is wrong with the zone as a whole after the batch."""
    problems = []
    types = {entry.rdtype for entry in node(entries, origin)}
    if "SOA" not in types:
        problems.append("A HostedZone must contain exactly one SOA record.")
    if "NS" not in types:
        problems.append("A HostedZone must contain at least one NS record for the zone itself.")
    if len(entries) > limit:
        problems.append(f"Number of resource record sets limit of {limit} exceeded in zone.")
    return problems


def _described(entry: Entry) -> str:
    identifier = entry.routing.set_identifier
    extra = f", set-identifier='{identifier}'" if identifier else ""
    return f"resource record set [name='{write_name(entry.name)}', type='{entry.rdtype}'{extra}]"
