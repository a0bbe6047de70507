"""IAM policies as Route 53 applies them: which requests are allowed, and which denied.

A request is allowed if a statement allows it and none denies it. What no statement covers is
denied. Sources: IAM's evaluation logic for identity-based policies, and the actions,
resources and condition keys of Route 53 in the Service Authorization Reference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from dnssd.sandbox.api.exchange import (
    Handler,
    Request,
    Response,
    Wrap,
    around,
    check_signature,
    refusal,
)
from dnssd.sandbox.api.operations import action, resource
from dnssd.sandbox.api.rejections import Rejection
from dnssd.sandbox.api.rrsets import Edit
from dnssd.sandbox.api.shapes import read_batch
from dnssd.zones.route53.text import write_name

USER = "arn:aws:iam::123456789012:user/sandbox"  # whoever signs: a signature proves nothing here

# The condition keys; none is present but on ChangeResourceRecordSets.
NAMES = "route53:ChangeResourceRecordSetsNormalizedRecordNames"
TYPES = "route53:ChangeResourceRecordSetsRecordTypes"
ACTIONS = "route53:ChangeResourceRecordSetsActions"


class Effect(StrEnum):
    """What a statement does to the requests that it covers."""

    ALLOW = "Allow"
    DENY = "Deny"


class Quantifier(StrEnum):
    """How many of a request's values a condition is about."""

    ONLY = ""  # its only value: IAM leaves open what it makes of several, here they do not match
    ALL = "ForAllValues"  # true of no values
    ANY = "ForAnyValue"  # false of no values


@dataclass(frozen=True, slots=True)
class Access:
    """A request as a policy sees it.

    Attributes:
        action: Such as `route53:GetChange`.
        resource: Its ARN; `*` for an operation that is about none.
        keys: The values of the condition keys that are present.
    """

    action: str
    resource: str
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Null:
    """Holds where the presence of a key is as wanted.

    Attributes:
        absent: True if it may be absent, False if it may be present.
    """

    key: str
    absent: frozenset[bool]

    def holds(self, values: Sequence[str]) -> bool:
        """Whether it holds for the values of the key; none if the key is absent."""
        return (not values) in self.absent


@dataclass(frozen=True, slots=True)
class Comparison:
    """Holds where a key's values are among those wanted.

    Attributes:
        wildcards: Whether `*` and `?` in `wanted` stand for other characters.
        if_exists: Whether it holds where the key is absent.
    """

    key: str
    quantifier: Quantifier
    wanted: tuple[str, ...]
    wildcards: bool = False
    if_exists: bool = False

    def holds(self, values: Sequence[str]) -> bool:
        """Whether it holds for the values of the key; none if the key is absent."""
        if not values and self.if_exists:
            return True
        found = [self._is_wanted(value) for value in values]
        match self.quantifier:
            case Quantifier.ALL:
                return all(found)
            case Quantifier.ANY:
                return any(found)
            case Quantifier.ONLY:
                return found == [True]

    def _is_wanted(self, value: str) -> bool:
        if self.wildcards:
            return any(matches(pattern, value) for pattern in self.wanted)
        return value in self.wanted


Condition = Null | Comparison


@dataclass(frozen=True, slots=True)
class Statement:
    """Allows or denies what it covers: an action, on a resource, where all conditions hold."""

    effect: Effect
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()

    def covers(self, access: Access) -> bool:
        """Whether it says something about `access`."""
        return (
            any(matches(pattern.lower(), access.action.lower()) for pattern in self.actions)
            and any(matches(pattern, access.resource) for pattern in self.resources)
            and all(cond.holds(access.keys.get(cond.key, ())) for cond in self.conditions)
        )


def matches(pattern: str, text: str) -> bool:
    """Whether `pattern` is about `text`: `*` stands for any characters, `?` for one."""
    return fnmatchcase(text, pattern.replace("[", "[[]"))  # IAM knows no sets of characters


def decide(policy: Sequence[Statement], access: Access) -> Effect | None:
    """What the policy does to `access`: a Deny beats every Allow; None if nothing covers it."""
    effects = {statement.effect for statement in policy if statement.covers(access)}
    return Effect.DENY if Effect.DENY in effects else next(iter(effects), None)


def enforce(policy: Sequence[Statement]) -> Wrap:
    """Answer `AccessDenied` to each request that `policy` does not allow."""

    def step(handler: Handler, request: Request) -> Response:
        if not action(request):
            return handler(request)  # which has an answer to what is no operation
        try:
            check_signature(request)  # who asks comes before what
            _check(policy, access_of(request))
        except Rejection as rejection:
            return refusal(request.id, rejection)
        return handler(request)

    return around(step)


def access_of(request: Request) -> Access:
    """What a request for one of the operations asks access to.

    Raises:
        Rejection: It is to change something, and nobody can tell what.
    """
    name, identifier = action(request), resource(request)
    kind = "change" if name == "GetChange" else "hostedzone"
    keys: Mapping[str, Sequence[str]] = {}
    if name == "ChangeResourceRecordSets":
        edits, _ = read_batch(request.body)
        keys = condition_keys(edits)
    arn = f"arn:aws:route53:::{kind}/{identifier}" if identifier else "*"
    return Access(f"route53:{name}", arn, keys)


def condition_keys(edits: Sequence[Edit]) -> Mapping[str, Sequence[str]]:
    """The condition keys of a change: each value once.

    Names are normalised: in lower case, octal escapes for all but `a-z 0-9 - _` and the dots
    between labels, no last dot.
    """
    values = {
        NAMES: (write_name(edit.rrset.name).removesuffix(".") for edit in edits),
        TYPES: (edit.rrset.rdtype for edit in edits),
        ACTIONS: (edit.action.value for edit in edits),
    }
    return {key: tuple(dict.fromkeys(found)) for key, found in values.items()}


def _check(policy: Sequence[Statement], access: Access) -> None:
    effect = decide(policy, access)
    if effect is Effect.ALLOW:
        return
    on = "" if access.resource == "*" else f" on resource: {access.resource}"
    if effect is Effect.DENY:
        why = "with an explicit deny in an identity-based policy"
    else:
        why = f"because no identity-based policy allows the {access.action} action"
    raise Rejection(
        "AccessDenied",
        f"User: {USER} is not authorized to perform: {access.action}{on} {why}",
        403,
    )
