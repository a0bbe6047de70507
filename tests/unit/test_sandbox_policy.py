"""IAM policies of the sandbox: what is read from a document, and what it then allows."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.errors import UsageError
from dnssd.names import Name
from dnssd.sandbox.api.exchange import Request, Response
from dnssd.sandbox.api.hostedzones import HostedZones
from dnssd.sandbox.api.operations import operations
from dnssd.sandbox.faults.policy import (
    ACTIONS,
    NAMES,
    TYPES,
    Access,
    access_of,
    decide,
    enforce,
    matches,
)
from dnssd.sandbox.faults.policyfile import load_policy, read_policy
from kit.route53 import SIGNED, batch, rrset_path

ZONE = "arn:aws:route53:::hostedzone/Z1"
CHANGE = "route53:ChangeResourceRecordSets"


def allowing(
    *actions: str, resource: Any = "*", condition: Any = None, effect: str = "Allow"
) -> Any:
    """A statement."""
    made = {"Effect": effect, "Action": list(actions), "Resource": resource}
    return made if condition is None else made | {"Condition": condition}


def decided(access: Access, *statements: Any) -> str | None:
    """What a policy of these statements does to a request."""
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return decide(read_policy(json.dumps(document)), access)


def spelled_out(pattern: str, text: str) -> bool:
    """What `matches` does, slowly."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(spelled_out(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and spelled_out(pattern[1:], text[1:])


LETTERS = st.text(alphabet="ab*?[]!-\\.\n", max_size=8)


@given(LETTERS, LETTERS)
def test_wildcards_mean_what_they_mean_to_iam(pattern: str, text: str) -> None:
    """`*` is any characters, `?` any one, and every other character itself."""
    assert matches(pattern, text) == spelled_out(pattern, text)


@given(st.text(), st.lists(st.integers(0, 20), max_size=3), st.booleans())
def test_a_pattern_made_from_a_text_matches_it(text: str, places: list[int], one: bool) -> None:
    """Characters may be replaced by wildcards, and `*` put anywhere."""
    pattern = list(text)
    for place in places:
        if one:
            pattern[place : place + 1] = "?" if place < len(text) else ""
        else:
            pattern[place:place] = "*"
    assert matches("".join(pattern), text)


def test_many_wildcards_take_no_time() -> None:
    """A pattern over which a careless matcher would ponder until the sun is cold."""
    assert not matches("*a" * 50 + "b", "a" * 1000)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([], None),
        ([allowing("route53:GetChange")], None),
        ([allowing("route53:GetHostedZone")], "Allow"),
        ([allowing("ROUTE53:gethostedZONE")], "Allow"),
        ([allowing("route53:Get*Zone")], "Allow"),
        ([allowing("route53:GetHostedZon?")], "Allow"),
        ([allowing("route53:GetHostedZone?")], None),
        ([allowing("*")], "Allow"),
        ([allowing("ec2:*")], None),
        ([allowing()], None),
        ([allowing("ec2:*", "route53:*")], "Allow"),
        ([allowing("*", resource=ZONE)], "Allow"),
        ([allowing("*", resource="arn:aws:route53:::hostedzone/*")], "Allow"),
        ([allowing("*", resource="arn:aws:route53:::HOSTEDZONE/*")], None),
        ([allowing("*", resource="arn:aws:route53:::hostedzone/Z2")], None),
        ([allowing("*", resource="arn:aws:route53:::change/*")], None),
        ([allowing("*", resource="arn:aws-cn:route53:::hostedzone/Z1")], "Allow"),
        ([allowing("*", resource="arn:aws-us-gov:route53:::hostedzone/*")], "Allow"),
        ([allowing("*", resource=["arn:aws:s3:::x", ZONE])], "Allow"),
        ([allowing("*", resource=[])], None),
        ([allowing("*", effect="Deny")], "Deny"),
        ([allowing("*", effect="Deny"), allowing("*")], "Deny"),
        ([allowing("*"), allowing("route53:GetHostedZone", effect="Deny")], "Deny"),
        ([allowing("*"), allowing("route53:GetChange", effect="Deny")], "Allow"),
    ],
)
def test_effect_action_and_resource(statements: list[Any], expected: str | None) -> None:
    """Somebody must allow it, and nobody deny it; actions are compared without case."""
    assert decided(Access("route53:GetHostedZone", ZONE), *statements) == expected


def test_an_operation_about_no_resource_needs_a_star() -> None:
    """Naming zones allows no listing of zones, as many have found."""
    listing = Access("route53:ListHostedZonesByName", "*")

    assert decided(listing, allowing("*", resource="arn:aws:route53:::hostedzone/*")) is None
    assert decided(listing, allowing("*", resource="*")) == "Allow"


SET = "ForAllValues:"
ANY = "ForAnyValue:"


@pytest.mark.parametrize(
    ("operator", "wanted", "held_for"),
    [
        ("StringEquals", "CREATE", ["CREATE"]),
        ("StringEquals", ["CREATE", "DELETE"], ["CREATE", "DELETE"]),
        ("StringEquals", [], []),
        ("StringEquals", "create", []),
        ("StringEquals", "C*", []),
        ("StringEqualsIfExists", "CREATE", ["", "CREATE"]),
        ("StringLike", "C*", ["CREATE"]),
        ("StringLike", ["?ELETE", "C*E"], ["CREATE", "DELETE"]),
        ("StringLike", "*", ["CREATE", "DELETE", "UPSERT"]),
        ("StringLikeIfExists", "C*", ["", "CREATE"]),
        (SET + "StringEquals", "CREATE", ["", "CREATE"]),
        (SET + "StringEquals", ["CREATE", "DELETE"], ["", "CREATE", "DELETE", "CREATE DELETE"]),
        (SET + "StringEquals", [], [""]),
        (SET + "StringLike", "*TE", ["", "CREATE", "DELETE", "CREATE DELETE"]),
        (SET + "StringLikeIfExists", "C*", ["", "CREATE"]),
        (ANY + "StringEquals", "UPSERT", ["UPSERT", "CREATE UPSERT"]),
        (ANY + "StringEquals", [], []),
        (ANY + "StringLike", ["U*", "D*"], ["DELETE", "UPSERT", "CREATE DELETE", "CREATE UPSERT"]),
        (ANY + "StringLikeIfExists", "U*", ["", "UPSERT", "CREATE UPSERT"]),
        ("Null", "true", [""]),
        ("Null", True, [""]),
        ("Null", "false", ["CREATE", "DELETE", "UPSERT", "CREATE DELETE", "CREATE UPSERT"]),
        ("Null", [], []),
    ],
)
def test_each_operator(operator: str, wanted: Any, held_for: Sequence[str]) -> None:
    """Tried on no value, on each action, and on pairs of them."""
    tried = ["", "CREATE", "DELETE", "UPSERT", "CREATE DELETE", "CREATE UPSERT"]
    statement = allowing(CHANGE, condition={operator: {ACTIONS: wanted}})

    held = [
        values
        for values in tried
        for keys in ([{ACTIONS: ()}, {}] if not values else [{ACTIONS: values.split()}])
        if decided(Access(CHANGE, ZONE, keys), statement) == "Allow"
    ]

    assert list(dict.fromkeys(held)) == list(held_for)
    assert held.count("") in (0, 2)  # an empty key is an absent one


def test_all_conditions_must_hold() -> None:
    """Those of one operator on several keys, and those of several operators."""
    condition = {
        SET + "StringEquals": {ACTIONS: "CREATE", TYPES.upper(): ["A", "AAAA"]},
        "Null": {ACTIONS: "false"},
    }
    statement = allowing(CHANGE, condition=condition)

    def effect(**values: Sequence[str]) -> str | None:
        keys = {"actions": ACTIONS, "types": TYPES}
        present = {keys[name]: found for name, found in values.items()}
        return decided(Access(CHANGE, ZONE, present), statement)

    assert effect(actions=["CREATE"], types=["A"]) == "Allow"
    assert effect(actions=["CREATE"]) == "Allow"  # nothing says that a type must be there
    assert effect(actions=["CREATE"], types=["A", "TXT"]) is None
    assert effect(actions=["CREATE", "UPSERT"], types=["A"]) is None
    assert effect(types=["A"]) is None


def change(*edits: tuple[str, str, str, str], headers: Any = None, body: str = "") -> Request:
    """A request to change zone Z1: action, name, type and value of each edit."""
    headers = SIGNED if headers is None else headers
    body = body or batch(*edits)
    return Request("1", "POST", rrset_path("Z1"), {}, headers, body.encode())


def get(path: str) -> Request:
    """A request without a body."""
    return Request("1", "GET", f"/2013-04-01/{path}", {}, SIGNED)


def test_the_keys_of_a_change_are_normalised() -> None:
    """Names in lower case with octal escapes and no last dot; each value once."""
    access = access_of(
        change(
            ("DELETE", r"My\040Caf\303\251.EXAMPLE.test.", "TXT", '"a"'),
            ("CREATE", r"my\040caf\303\251.example.test", "TXT", '"b"'),
            ("CREATE", r"*.a\056b.example.test", "A", "10.0.0.1"),
        )
    )

    assert (access.action, access.resource) == (CHANGE, ZONE)
    assert access.keys == {
        NAMES: (r"my\040caf\303\251.example.test", r"\052.a\056b.example.test"),
        TYPES: ("TXT", "A"),
        ACTIONS: ("DELETE", "CREATE"),
    }


@pytest.mark.parametrize(
    ("path", "action", "resource"),
    [
        ("hostedzone", "ListHostedZones", "*"),
        ("hostedzonesbyname", "ListHostedZonesByName", "*"),
        ("hostedzone/Z1", "GetHostedZone", ZONE),
        ("hostedzone/Z1/rrset", "ListResourceRecordSets", ZONE),
        ("change/C1", "GetChange", "arn:aws:route53:::change/C1"),
    ],
)
def test_what_other_requests_ask_for(path: str, action: str, resource: str) -> None:
    """Zones and changes have ARNs; no request but a change has condition keys."""
    assert access_of(get(path)) == Access(f"route53:{action}", resource, {})


class Enforced:
    """A sandbox's operations behind a policy, with one zone."""

    def __init__(self, *statements: Any) -> None:
        self.zones = HostedZones()
        self.zones.create_zone(Name.parse("example.test"), caller_reference="a", zone_id="Z1")
        policy = read_policy(json.dumps({"Statement": list(statements)}))
        self.open = operations(self.zones)
        self.answer = enforce(policy)(self.open)

    def rrsets(self) -> int:
        """How many RRsets the zone holds besides its first two."""
        return len(self.zones.zone("Z1").rrsets) - 2


HOST = ("CREATE", "a.example.test", "A", "10.0.0.1")


def test_what_is_allowed_is_carried_out() -> None:
    """As without a policy."""
    enforced = Enforced(allowing(CHANGE, resource=ZONE))

    assert enforced.answer(change(HOST)).status == 200
    assert enforced.rrsets() == 1


def denied(response: Response) -> str:
    """The message of a denial."""
    body = response.body.decode()
    assert (response.status, response.error) == (403, "AccessDenied")
    assert "<Code>AccessDenied</Code>" in body
    return body.partition("<Message>")[2].partition("</Message>")[0]


def test_a_denial_is_worded_as_by_aws_and_nothing_is_done() -> None:
    """Who, what, on which resource if any, and why."""
    who = "User: arn:aws:iam::123456789012:user/sandbox is not authorized to perform: route53:"
    nothing, deny = Enforced(), Enforced(allowing("*"), allowing(CHANGE, effect="Deny"))

    assert denied(nothing.answer(change(HOST))) == (
        f"{who}ChangeResourceRecordSets on resource: {ZONE} because no identity-based policy "
        "allows the route53:ChangeResourceRecordSets action"
    )
    assert denied(deny.answer(change(HOST))) == (
        f"{who}ChangeResourceRecordSets on resource: {ZONE} with an explicit deny in an "
        "identity-based policy"
    )
    assert denied(nothing.answer(get("hostedzone"))) == (
        f"{who}ListHostedZones because no identity-based policy allows the "
        "route53:ListHostedZones action"
    )
    assert (nothing.rrsets(), deny.rrsets()) == (0, 0)


def test_a_batch_is_denied_whole() -> None:
    """One edit too many, and none is made."""
    names = {SET + "StringLike": {NAMES: ["*.example.test"]}}
    enforced = Enforced(allowing(CHANGE, condition=names))

    denied(enforced.answer(change(HOST, ("CREATE", "example.test", "A", "10.0.0.1"))))

    assert enforced.rrsets() == 0


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (change(HOST, headers={}), "MissingAuthenticationToken"),
        (get("nothing"), "UnknownOperation"),
        (change(body="<x>"), "MalformedInput"),
        (change(("CREATE", "a..b", "A", "10.0.0.1")), "InvalidChangeBatch"),
    ],
)
def test_who_asks_nonsense_hears_so_first(asked: Request, code: str) -> None:
    """The answer is the one without a policy; a policy is about what makes sense."""
    enforced = Enforced()

    assert enforced.answer(asked) == enforced.open(asked)
    assert enforced.answer(asked).error == code


def test_denial_comes_before_absence() -> None:
    """Who may not look at a zone does not hear whether there is one."""
    denied(Enforced(allowing("*", resource=ZONE)).answer(get("hostedzone/Z2")))


OK = '{"Effect": "Allow", "Action": "*", "Resource": "*"%s}'
CONDITION = '{"Statement": ' + OK % ', "Condition": {%s}' + "}"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("", "line 1 column 1: not JSON (Expecting value)"),
        ('{"Statement": []\n]', "line 2 column 1: not JSON"),
        ("[" * 100_000, "no policy"),
        ("1" * 5000, "no policy"),
        ("[]", "the document: '[]' is no JSON object"),
        ("{}", "the document: it has no Statement"),
        ('{"Statement": [], "Statement": []}', "'Statement' comes twice in one object"),
        ('{"Statement": [], "Version": "2026-01-01"}', "Version: '2026-01-01' is none"),
        ('{"Statement": [], "Statements": []}', "the document: 'Statements' is not supported"),
        ('{"Statement": [' + OK % "" + ', "x"]}', "Statement 2: 'x' is no JSON object"),
        ('{"Statement": {"Action": "*", "Resource": "*"}}', "Statement 1: it has no Effect"),
        ('{"Statement": {"Effect": "Allow", "Resource": "*"}}', "it has no Action"),
        ('{"Statement": {"Effect": "Allow", "Action": "*"}}', "it has no Resource"),
        ('{"Statement": ' + OK % ', "NotAction": "*"' + "}", "'NotAction' is not supported here"),
        ('{"Statement": ' + OK % ', "Principal": "*"' + "}", "'Principal' is not supported here"),
        (
            '{"Statement": {"Effect": "allow", "Action": "*", "Resource": "*"}}',
            "Statement 1, Effect: 'allow' is none; write Allow or Deny",
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": "GetChange", "Resource": "*"}}',
            "Statement 1, Action: 'GetChange' is none; write route53:NAME",
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": ["*", 1], "Resource": "*"}}',
            "Statement 1, Action: '1' is no text",
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "Z1"}}',
            "Statement 1, Resource: 'Z1' is no ARN",
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "arn:${aws:username}"}}',
            "Statement 1, Resource: 'arn:${aws:username}': no variables here",
        ),
        (CONDITION % '"StringMatches": {}', "Condition 'StringMatches': not supported here; use"),
        (CONDITION % '"ForAllValues:Null": {}', "Condition 'ForAllValues:Null': not supported"),
        (CONDITION % '"stringEquals": {}', "Condition 'stringEquals': not supported"),
        (CONDITION % '"StringEquals": []', "Condition 'StringEquals': '[]' is no JSON object"),
        (
            CONDITION % '"StringEquals": {"aws:SourceIp": "10.0.0.1"}',
            "Condition 'StringEquals': 'aws:SourceIp' is not supported here; use route53:Change",
        ),
        (CONDITION % f'"Null": {{"{TYPES}": "no"}}', f"{TYPES}: 'no' is neither; write true or"),
        (CONDITION % f'"StringLike": {{"{TYPES}": {{}}}}', f"{TYPES}: '{{}}' is no text"),
    ],
)
def test_a_wrong_document_is_refused_where_it_is_wrong(document: str, says: str) -> None:
    """In one line that names the place, and what to do."""
    with pytest.raises(UsageError) as refused:
        read_policy(document)

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500


WORDS = st.sampled_from(
    ["Version", "Statement", "Effect", "Action", "Resource", "Condition", "Allow", "*", "Null"]
) | st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
)


@given(VALUES | st.builds(lambda value: json.loads(OK % "") | {"Condition": value}, VALUES))
def test_any_json_is_a_policy_or_a_usage_error(value: Any) -> None:
    """Whatever stands in the file, alone or as a statement."""
    for document in (value, {"Statement": value}):
        try:
            read_policy(json.dumps(document))
        except UsageError as error:
            assert str(error).isprintable()  # noqa: PT017 (either outcome is right)


@given(st.text())
def test_any_text_is_a_policy_or_a_usage_error(text: str) -> None:
    """No other error, and one line."""
    try:
        read_policy(text)
    except UsageError as error:
        assert str(error).isprintable()  # noqa: PT017 (either outcome is right)


def test_a_file_is_read(tmp_path: Path) -> None:
    """A policy of one statement that is no list, with all that may stand beside it."""
    file = tmp_path / "policy.json"
    statement = allowing("route53:GetChange") | {"Sid": "Waiting"}
    file.write_text(json.dumps({"Version": "2008-10-17", "Id": "a", "Statement": statement}))

    (read,) = load_policy(file)

    assert read.actions == ("route53:GetChange",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file or directory; name a file that can be read"),
        (b"\xff", "not UTF-8"),
        (b"{", "line 1 column 2: not JSON"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, content: bytes | None, says: str) -> None:
    """Missing, or not what it should be."""
    file = tmp_path / "policy.json"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(UsageError, match=r"^policy '.*policy\.json'") as refused:
        load_policy(file)

    assert says in str(refused.value)
