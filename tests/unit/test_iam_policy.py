"""The IAM policy names one service in one zone, whatever its instances are called."""

import importlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dnssd.cli.main import run
from dnssd.errors import MalformedName, UsageError
from dnssd.names import Name
from dnssd.provisioning.policy import Grant, normalized
from dnssd.sandbox.faults.policy import ACTIONS, NAMES, TYPES, Effect, matches
from dnssd.sandbox.faults.policyfile import read_policy
from dnssd.services import Service, instance_label
from dnssd.zones.route53.text import read_name

ROOT = Path(__file__).parents[2]
IAM = ROOT / "iam"
TOOLS = ROOT / ".venv-tools" / "bin"
ZONE_ID = "Z0123456789ABC"
ZONE = f"example.com,id={ZONE_ID}"
EXAMPLE = ("http", "--zone", ZONE)
DOMAIN = Name.parse("example.com")
HTTP = Service("http")
OWN_WORDS = re.compile(r"(\*\.)?([a-z0-9_.-]|\\[0-3][0-7]{2})+")  # a star of ours, and no other

instances = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[*map(chr, range(32)), "\x7f"]),
    min_size=1,
    max_size=15,
)


def names_in(policy: Any) -> list[str]:
    """The names that a policy lets be changed."""
    condition = policy["Statement"][-1]["Condition"]
    found: list[str] = condition["ForAllValues:StringLike"][NAMES]
    return found


def grant(*instances: str, **options: Any) -> Any:
    """The policy for instances of http in example.com."""
    return Grant(
        service=HTTP, zone_id=ZONE_ID, domain=DOMAIN, instances=instances, **options
    ).policy()


def test_the_file_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """`iam/policy.json` is the output for an example, to the letter."""
    assert run(["iam-policy", *EXAMPLE]) == 0
    assert capsys.readouterr() == ((IAM / "policy.json").read_text(), "")


def test_changes_are_bounded_in_name_type_and_action() -> None:
    """One zone, no UPSERT, and no condition that holds for want of a key."""
    *others, change = grant()["Statement"]

    assert [statement["Action"] for statement in others] == ["route53:ListResourceRecordSets"]
    assert change["Action"] == "route53:ChangeResourceRecordSets"
    assert {s["Resource"] for s in (*others, change)} == {f"arn:aws:route53:::hostedzone/{ZONE_ID}"}
    assert change["Condition"]["ForAllValues:StringEquals"] == {
        TYPES: ["PTR", "SRV", "TXT", "A", "AAAA"],
        ACTIONS: ["CREATE", "DELETE"],
    }
    assert change["Condition"]["Null"] == dict.fromkeys((NAMES, TYPES, ACTIONS), "false")


@pytest.mark.parametrize(
    ("instance", "label"),
    [
        ("web", "web"),
        ("Web", "web"),
        ("My Café.V1", r"my\040caf\303\251\056v1"),
        ("*", r"\052"),
        ("?", r"\077"),
        ("${aws:username}", r"\044\173aws\072username\175"),
        ("É", r"\303\211"),  # DNS folds the case of ASCII alone
        ("a\\b", r"a\134b"),
    ],
)
def test_instances_are_named_as_iam_compares_them(instance: str, label: str) -> None:
    """In lower case, with octal escapes: the instance's own name and its members'."""
    assert names_in(grant(instance)) == [
        "_services._dns-sd._udp.example.com",
        "_http._tcp.example.com",
        f"{label}._http._tcp.example.com",
        f"*.{label}._http._tcp.example.com",
        "i-*.example.com",
    ]


def test_plain_addresses_add_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with the member records beside it; alone they need no PTR and no SRV."""
    names = ("--join-address", "WWW.example.com", "--join-address", "example.com", "--zone", ZONE)
    own = ["www.example.com", "*.www._dnssd.example.com"]
    own += ["example.com", "*._apex._dnssd.example.com"]

    assert run(["iam-policy", *names, "--host-pattern", "*"]) == 0
    printed, error = capsys.readouterr()
    alone = json.loads(printed)
    assert (names_in(alone), error) == (own, "")
    condition = alone["Statement"][-1]["Condition"]["ForAllValues:StringEquals"]
    assert condition[TYPES] == ["TXT", "A", "AAAA"]
    assert run(["iam-policy", "http", *names]) == 0
    assert names_in(json.loads(capsys.readouterr().out)) == names_in(grant()) + own


@given(instance=instances, other=instances)
def test_no_instance_name_is_a_pattern(instance: str, other: str) -> None:
    """No character of it stands for others: it allows itself, its members and no other."""
    allowed = names_in(grant(instance, hosts=["web-1"]))
    name = HTTP.in_domain(DOMAIN).child(instance_label(instance))
    foreign = HTTP.in_domain(DOMAIN).child(instance_label(other))

    def is_allowed(name: Name) -> bool:
        return any(matches(pattern, normalized(name)) for pattern in allowed)

    assert all(OWN_WORDS.fullmatch(pattern) for pattern in allowed)
    assert is_allowed(name)
    assert is_allowed(name.child(b"i-a-80"))
    assert is_allowed(foreign) == (foreign == name)
    assert is_allowed(foreign.child(b"i-a-80")) == (foreign == name)


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=4))
def test_a_normalised_name_is_the_same_name(labels: list[bytes]) -> None:
    """Nothing but case is lost."""
    name = Name(tuple(labels))

    text = normalized(name)

    assert read_name(text) == name
    assert re.fullmatch(r"([a-z0-9_.-]|\\[0-3][0-7]{2})+", text)


def test_hosts_may_be_named_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Patterns are repeated, put in lower case, and given once."""
    hosts = ("--host-pattern", "Web-1", "--host-pattern", "web-2", "--host-pattern", "web-1")

    assert run(["iam-policy", *EXAMPLE, *hosts, "--instance", "a", "--instance", "a"]) == 0

    printed, error = capsys.readouterr()
    assert names_in(json.loads(printed))[2:] == [
        "a._http._tcp.example.com",
        "*.a._http._tcp.example.com",
        "web-1.example.com",
        "web-2.example.com",
    ]
    assert error == ""


@pytest.mark.parametrize("pattern", ["*", "?*", "***"])
def test_a_pattern_for_every_name_is_warned_of(
    pattern: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the caller's right, and rarely what is meant."""
    assert run(["iam-policy", *EXAMPLE, "--host-pattern", pattern]) == 0

    printed, error = capsys.readouterr()
    assert names_in(json.loads(printed))[-1] == f"{pattern}.example.com"
    assert error.startswith("dnssd: host pattern: it covers every name below 'example.com'")


def test_waiting_is_allowed_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    """--wait adds one statement and changes none."""
    run(["iam-policy", *EXAMPLE, "--wait"])

    statements = json.loads(capsys.readouterr().out)["Statement"]
    more = {
        "Effect": "Allow",
        "Action": "route53:GetChange",
        "Resource": "arn:aws:route53:::change/*",
    }
    assert more in statements
    assert [s for s in statements if s != more] == grant()["Statement"]


@pytest.mark.parametrize(
    "zone",
    [f"Example.COM.,id={ZONE_ID}", f"route53:example.com,id=/hostedzone/{ZONE_ID},private=yes"],
)
def test_a_zone_is_given_as_to_every_command(zone: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its name and its ID, also as `aws route53 list-hosted-zones` writes it."""
    assert run(["iam-policy", "http", "--zone", zone]) == 0
    assert json.loads(capsys.readouterr().out) == grant()


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn"])
def test_each_partition_has_its_own_arns(
    partition: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of another match nothing."""
    assert run(["iam-policy", *EXAMPLE, "--wait", "--partition", partition]) == 0

    printed = capsys.readouterr().out
    assert printed.count(f'"arn:{partition}:route53:::') == printed.count('"arn:') == 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("--zone", "example.com"), "zone 'example.com': the policy needs its ID, too"),
        (("--zone", ZONE_ID), f"zone '{ZONE_ID}': the policy needs its name, too; write NAME,id="),
        (("--zone", "*,id=x"), "an ID looks like"),
        (("--zone", "rfc2136:example.com,server=10.0.0.2,unsigned=yes"), "Route 53 alone"),
        (("--zone", f".,id={ZONE_ID}"), "the root is not yours"),
        (("--zone", f"a..b,id={ZONE_ID}"), "a label is empty"),
        (("--join-address", "www.example.org"), "not in the zone example.com."),
        (("--join-address", "_http._tcp.example.com"), "not a name of hosts"),
        (("--host-pattern", "a.b"), "host pattern 'a.b': one label is needed"),
        (("--host-pattern", "${aws:username}"), "one label is needed"),
        (("--host-pattern", ""), "host pattern '': one label is needed"),
        (("--instance", "a" * 64), "64 octets of UTF-8; 1 to 63 are allowed"),
        (("--instance", "a\n"), "control characters are not allowed"),
        (tuple(w for n in range(200) for w in ("--instance", f"w{n}")), "and IAM takes 10240"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    changed: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, nothing printed."""
    example = EXAMPLE[:1] if "--zone" in changed else EXAMPLE

    assert run(["iam-policy", *example, *changed]) == 2

    printed, error = capsys.readouterr()
    assert (printed, error.count("\n")) == ("", 1)
    assert message in error


def test_names_that_are_too_long_are_refused() -> None:
    """The instance and the domain together must be a name."""
    with pytest.raises(MalformedName, match="at most 255 are allowed"):
        Grant(
            service=HTTP,
            zone_id=ZONE_ID,
            domain=Name.parse(".".join(["a" * 59] * 4)),
            instances=["b"],
        ).policy()


@given(st.text(max_size=12))
def test_any_pattern_is_one_label_or_refused(text: str) -> None:
    """Nothing else comes into the document."""
    try:
        *_, name = names_in(grant(hosts=[text]))
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017 (either outcome is right)
    else:
        assert re.fullmatch(r"[a-z0-9_*?-]+\.example\.com", name)


class _Template(yaml.SafeLoader):
    """Reads a CloudFormation template, in which `!Sub` stands for example values."""


def _substituted(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    values = {
        "AWS::Partition": "aws",
        "ZoneId": ZONE_ID,
        "Domain": "example.com",
        "Service": "_http._tcp",
        "HostPattern": "i-*",
    }
    text = str(node.value)
    return re.sub(r"\$\{([^}]+)\}", lambda match: values[match[1]], text)


_Template.add_constructor("!Sub", _substituted)
_Template.add_constructor("!Ref", _substituted)  # to what no test looks at


_Template.add_constructor("!GetAtt", _substituted)


def template(name: str) -> Any:
    """A template of `iam` with the example's values."""
    return yaml.load((IAM / name).read_text(), _Template)  # noqa: S506 (a SafeLoader)


def test_the_template_makes_the_same_role() -> None:
    """Its policy is the command's output, its trust document the file beside it."""
    properties = template("role.yaml")["Resources"]["Role"]["Properties"]
    (policy,) = properties["Policies"]

    assert policy["PolicyDocument"] == grant()
    assert properties["AssumeRolePolicyDocument"] == json.loads((IAM / "trust.json").read_text())


def test_the_reapers_template_allows_what_reaping_needs(capsys: pytest.CaptureFixture[str]) -> None:
    """What `iam-policy --reap` prints for the whole zone; the function is the package's."""
    resources = template("reaper.yaml")["Resources"]
    assert run(["iam-policy", "--reap", "--zone", ZONE]) == 0

    policy, _ = resources["Role"]["Properties"]["Policies"]
    assert policy["PolicyDocument"] == json.loads(capsys.readouterr().out)
    function = resources["Function"]["Properties"]
    module, _, name = function["Handler"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))
    assert function["Environment"]["Variables"] == {"DNSSD_ZONE": ZONE}
    # AWS refuses a queue that shows a message again while the function still works on it
    assert resources["Queue"]["Properties"]["VisibilityTimeout"] >= function["Timeout"]


def test_who_reaps_one_service_may_change_that_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """As its hosts may, and ask EC2; without a service only reaping has a policy."""
    asking = {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"}
    assert grant(reap=True)["Statement"] == [*grant()["Statement"], asking]
    assert run(["iam-policy", "--zone", ZONE]) == 2
    assert "SERVICE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("parameter", "right", "wrong"),
    [
        ("Domain", ["example.com", "test"], ["example.com.", "Example.com", "", "*", "a..b"]),
        ("Service", ["_http._tcp", "_a-1._udp"], ["http", "_http", "_*._tcp", "_HTTP._tcp"]),
        ("HostPattern", ["i-*", "web-1"], ["a.b", "I-*", "", "${AWS::Region}"]),
    ],
)
def test_the_template_takes_what_iam_can_match(
    parameter: str, right: list[str], wrong: list[str]
) -> None:
    """A last dot or an upper-case letter would make a policy that allows nothing."""
    for name in ("role.yaml", "reaper.yaml"):
        about = template(name)["Parameters"].get(parameter)
        if about is None:
            continue  # the reaper is for all services
        assert all(re.fullmatch(about["AllowedPattern"], text) for text in right)
        assert not any(re.fullmatch(about["AllowedPattern"], text) for text in wrong)


def test_the_sandbox_reads_the_policy() -> None:
    """It is strict about documents, and finds two statements that allow."""
    policy = read_policy((IAM / "policy.json").read_text())

    assert [statement.effect for statement in policy] == [Effect.ALLOW] * 2


def tool(name: str) -> str:
    """A program of .venv-tools."""
    if not (TOOLS / name).exists():
        pytest.skip(f"{name} is missing: scripts/install --servers installs it")
    return str(TOOLS / name)


def test_cfn_lint_finds_nothing_in_the_templates() -> None:
    """Neither an error nor a warning."""
    completed = subprocess.run(
        [tool("cfn-lint"), *map(str, IAM.glob("*.yaml"))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (completed.returncode, completed.stdout) == (0, "")


PARLIAMENT = """
import json, sys
from parliament import analyze_policy_string
for text in json.load(sys.stdin):
    for finding in analyze_policy_string(text).findings:
        print(finding)
"""


def test_parliament_finds_nothing_in_any_policy() -> None:
    """What it does not know, trust documents, it is shown as policies for a resource."""
    tool("parliament")
    documents = [json.loads(path.read_text()) for path in sorted(IAM.glob("*.json"))]
    documents += [grant(reap=True), grant("My Café.V1", "*", "${aws:username}", wait=True)]
    for document in documents:
        for statement in document["Statement"]:
            statement.setdefault("Resource", "arn:aws:iam::*:role/*")

    completed = subprocess.run(
        [tool("python"), "-W", "ignore", "-c", PARLIAMENT],
        input=json.dumps([json.dumps(document) for document in documents]),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert len(documents) == 6
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, "", "")
