"""The sandbox's Route 53 without its network: no request is too odd to be answered."""

import re
from collections.abc import Mapping
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.names import Name
from dnssd.sandbox.api import xml
from dnssd.sandbox.api.exchange import Request
from dnssd.sandbox.api.hostedzones import HostedZones
from dnssd.sandbox.api.operations import action, operations
from dnssd.sandbox.api.rejections import Rejection
from kit import route53
from kit.route53 import ZONES, batch_of

SIGNED = "AWS4-HMAC-SHA256 Credential=AKID/20261121/{}/{}/aws4_request, SignedHeaders=host"
RRSETS = f"{ZONES}/Z1/rrset/"
CHANGE = (
    "<Change><Action>CREATE</Action><ResourceRecordSet><Name>a.example.test</Name>"
    "<Type>A</Type>{}</ResourceRecordSet></Change>"
)
VALUE = (
    "<ResourceRecords><ResourceRecord><Value>10.0.0.1</Value></ResourceRecord></ResourceRecords>"
)


def call(
    method: str,
    path: str,
    body: str | bytes = b"",
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] = route53.SIGNED,
) -> tuple[int, str | None, str]:
    """The status, error code and document of an answer from a store with one zone."""
    store = HostedZones()
    store.create_zone(Name.parse("example.test"), caller_reference="a", zone_id="Z1")
    body = body.encode() if isinstance(body, str) else body
    response = operations(store)(Request("1", method, path, query or {}, headers, body))
    return response.status, response.error, response.body.decode()


@given(st.binary() | st.text().map(str.encode))
def test_any_body_has_an_answer(body: bytes) -> None:
    """What is no batch is refused."""
    status, error, document = call("POST", RRSETS, body)
    assert (status, error) == (400, "MalformedInput")
    fromstring(document)  # noqa: S314 (written by the code under test)


TAGS = st.sampled_from(
    [*re.findall("<([A-Za-z]+)>", batch_of("") + CHANGE + VALUE), "TTL", "Weight", "X"]
)
TREES = st.recursive(
    st.sampled_from(["", "CREATE", "A", "60", "-1", "10.0.0.1", "a.example.test"]),
    lambda inner: st.lists(st.tuples(TAGS, inner), max_size=4).map(
        lambda parts: "".join(f"<{tag}>{text}</{tag}>" for tag, text in parts)
    ),
)


@given(TREES, TREES)
def test_any_elements_have_an_answer(changes: str, record_set: str) -> None:
    """A batch of the wrong shape is refused, never half understood."""
    for inner in (changes, CHANGE.format(record_set), f"<Change>{changes}</Change>"):
        status, error, _ = call("POST", RRSETS, batch_of(inner))
        assert (status, error) in {
            (200, None),
            (400, "InvalidInput"),
            (400, "InvalidChangeBatch"),
        }


@given(
    st.sampled_from(["GET", "POST", "DELETE", "PUT", ""]),
    st.sampled_from(["", "/", ZONES, ZONES + "/", "/2013-04-01/change/", RRSETS]),
    st.text(),
    st.dictionaries(
        st.sampled_from(["name", "type", "identifier", "maxitems", "marker", "dnsname"]), st.text()
    ),
)
def test_any_url_has_an_answer(method: str, start: str, end: str, query: dict[str, str]) -> None:
    """An answer is a well-formed document, whatever of the request it repeats."""
    *_, document = call(method, start + end, query=query)
    fromstring(document)  # noqa: S314 (written by the code under test)


@pytest.mark.parametrize(
    "body",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><ChangeResourceRecordSetsRequest>&a;'
        "</ChangeResourceRecordSetsRequest>",
        '<!DOCTYPE x SYSTEM "file:///etc/hostname"><ChangeResourceRecordSetsRequest/>',
        "<a>" * 100_000,
        "<a/>",
        '<?xml version="1.0" encoding="utf-7"?>+ADw-a/+AD4-',
    ],
)
def test_hostile_xml_is_refused(body: str) -> None:
    """Entities, depth and odd encodings are turned away before they cost anything."""
    with pytest.raises(Rejection, match="MalformedInput"):
        xml.read(body.encode(), "ChangeResourceRecordSetsRequest")


def test_xml_is_not_nested_without_end() -> None:
    """No request has more than a few levels."""
    with pytest.raises(Rejection, match="too deep"):
        xml.read(b"<a>" * 99 + b"</a>" * 99, "a")


@pytest.mark.parametrize(
    ("record_set", "why"),
    [
        (VALUE, "but found none"),
        ("<TTL>60</TTL>", "but found none"),
        ("<TTL>60</TTL><ResourceRecords/>", "but found none"),
        (f"<TTL>-1</TTL>{VALUE}", "'-1'"),
        (f"<TTL>2147483648</TTL>{VALUE}", "'2147483648'"),
        (f"<TTL> 60</TTL>{VALUE}", "' 60'"),
        (f"<TTL>60</TTL><TTL>61</TTL>{VALUE}", "Invalid content"),
        (f"<TTL>60</TTL>{VALUE}<CidrRoutingConfig/>", "Invalid content"),
        (f"<SetIdentifier/><Weight>1</Weight><TTL>60</TTL>{VALUE}", "setIdentifier"),
        (f"<Weight>1</Weight><TTL>60</TTL>{VALUE}", "Missing field 'SetIdentifier'"),
        (f"<SetIdentifier>a</SetIdentifier><TTL>60</TTL>{VALUE}", "Expected exactly one of"),
        (
            f"<TTL>60</TTL>{VALUE}<AliasTarget><HostedZoneId>Z2</HostedZoneId><DNSName>b.</DNSName>"
            "<EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>",
            "but found more than one",
        ),
    ],
)
def test_a_record_set_that_makes_no_sense_is_invalid_input(record_set: str, why: str) -> None:
    """What botocore would not send is refused all the same."""
    status, error, document = call("POST", RRSETS, batch_of(CHANGE.format(record_set)))
    assert (status, error) == (400, "InvalidInput")
    assert why in document


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("<Name>x.test</Name>", "InvalidInput"),
        ("<Name>x.test</Name><CallerReference/>", "InvalidInput"),
        (
            "<Name>x.test</Name><CallerReference>r</CallerReference><VPC><VPCRegion/></VPC>",
            "InvalidVPCId",
        ),
        ("<CallerReference>r</CallerReference>", "InvalidDomainName"),
    ],
)
def test_a_zone_that_lacks_something_is_not_made(body: str, error: str) -> None:
    """Its name, the caller's reference, the network's identifier."""
    document = f"<CreateHostedZoneRequest>{body}</CreateHostedZoneRequest>"
    assert call("POST", ZONES, document)[:2] == (400, error)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (CHANGE.format("").replace("<Type>A", "<Type>X"), "resourceRecordSet.type"),
        (CHANGE.format("<TTL>60</TTL><ResourceRecords><Value/></ResourceRecords>"), "&apos;Value"),
        ("<Change><Action>CREATE</Action></Change>", "needs"),
        ("<Change/><Comment/>", "at least one"),
    ],
)
def test_a_batch_that_lacks_something_is_invalid_input(changes: str, why: str) -> None:
    """As is one that holds nothing at all."""
    status, error, document = call("POST", RRSETS, batch_of(changes))
    assert (status, error) == (400, "InvalidInput")
    assert why.replace("&apos;", "'") in document.replace("&apos;", "'")
    nothing = "<ChangeResourceRecordSetsRequest/>"
    assert call("POST", RRSETS, nothing)[:2] == (400, "InvalidInput")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/2013-04-01/hostedzone", {"marker": "Z2"}),
        ("/2013-04-01/hostedzonesbyname", {"hostedzoneid": "Z1"}),
        ("/2013-04-01/healthcheck", {"maxitems": "x"}),
    ],
)
def test_a_listing_that_makes_no_sense_is_invalid_input(path: str, query: dict[str, str]) -> None:
    """A place to begin that is none; health checks are listed, though there are none."""
    assert call("GET", path, query=query)[:2] == (400, "InvalidInput")
    assert call("GET", path)[0] == 200


@pytest.mark.parametrize(
    ("authorization", "error", "why"),
    [
        (None, "MissingAuthenticationToken", ""),
        ("Bearer x", "IncompleteSignature", ""),
        (SIGNED.format("us-east-1", "s3"), "SignatureDoesNotMatch", "correct service: 'route53'"),
    ],
)
def test_a_request_is_signed_for_route53(authorization: str | None, error: str, why: str) -> None:
    """The scope of the signature is looked at, the signature is not."""
    headers = {"authorization": authorization} if authorization else {}
    status, found, document = call("GET", ZONES, headers=headers)
    assert (status, found) == (403, error)
    assert why in document


def test_an_operation_has_the_name_that_policies_and_logs_give_it() -> None:
    """The name follows from method and path; a request for none has none."""
    assert action(Request("1", "POST", RRSETS, {}, {})) == "ChangeResourceRecordSets"
    assert action(Request("1", "GET", "/2013-04-01/hostedzonesbyname", {}, {})) == (
        "ListHostedZonesByName"
    )
    assert action(Request("1", "GET", "/", {}, {})) == ""
