"""The sandbox's Route 53 as boto3 and strangers see it."""

import contextlib
import http.client
import itertools
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from dnssd.names import Name
from dnssd.sandbox.api.exchange import Handler, Request, Response, refusal
from dnssd.sandbox.api.hostedzones import HostedZones
from dnssd.sandbox.api.rejections import Rejection
from dnssd.sandbox.api.server import Api

NAME = "s.example.test."
THREADS = 16


def connect(api: Api, region: str = "us-east-1", service: str = "route53") -> Any:
    """A boto3 client that tries once, whatever this machine's configuration says."""
    return boto3.client(
        "route53",
        endpoint_url=api.url,
        region_name=region,
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
        config=Config(
            retries={"total_max_attempts": 1},
            proxies={},
            max_pool_connections=THREADS,
            user_agent_extra="under-test",
        ),
    )


@pytest.fixture
def clock() -> list[float]:
    """The time, to be changed by the test."""
    return [0.0]


@pytest.fixture
def api(clock: list[float]) -> Iterator[Api]:
    """A served store with the zone `example.test`, Z1, in sync after 30 seconds."""
    store = HostedZones(now=lambda: clock[0], insync_after=30)
    store.create_zone(Name.parse("example.test"), caller_reference="a", zone_id="Z1")
    with Api(store) as api:
        yield api


@pytest.fixture
def client(api: Api) -> Iterator[Any]:
    """A boto3 client of `api`."""
    client = connect(api)
    yield client
    client.close()


def rrset(
    *values: str, name: str = NAME, rdtype: str = "SRV", ttl: int = 60, **more: object
) -> dict[str, object]:
    """A ResourceRecordSet, SRV unless told otherwise."""
    records = [{"Value": value} for value in values]
    return {"Name": name, "Type": rdtype, "TTL": ttl, "ResourceRecords": records, **more}


def srv(*ports: int, **more: Any) -> dict[str, object]:
    """An SRV ResourceRecordSet with a value for each port."""
    return rrset(*(f"0 100 {port} h.example.test." for port in ports), **more)


def change(client: Any, *changes: tuple[str, dict[str, object]], zone: str = "Z1") -> Any:
    """Send a batch."""
    batch = [{"Action": action, "ResourceRecordSet": rrset} for action, rrset in changes]
    return client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": batch})


def refused(client: Any, *changes: tuple[str, dict[str, object]]) -> str:
    """The message with which a batch is refused, nothing of it being done."""
    before = listing(client)
    with pytest.raises(client.exceptions.InvalidChangeBatch) as caught:
        change(client, *changes)
    error = caught.value.response["Error"]
    assert error["Code"] == "InvalidChangeBatch"
    assert (error["Message"][0], error["Message"][-1]) == ("[", "]")
    assert listing(client) == before
    return str(error["Message"][1:-1])


def listing(client: Any, **start: str) -> list[dict[str, Any]]:
    """All pages of a listing, without the apex."""
    pages = client.get_paginator("list_resource_record_sets").paginate(HostedZoneId="Z1", **start)
    found = [rrset for page in pages for rrset in page["ResourceRecordSets"]]
    return [rrset for rrset in found if rrset["Name"] != "example.test."]


def test_what_is_created_is_listed_as_it_was_written(client: Any) -> None:
    """Values keep their text and order; the name is lower case with a last dot."""
    values = ('"b" "A"', r'"\303\251"')
    change(client, ("CREATE", rrset(*values, name="T.Example.test", rdtype="TXT", ttl=5)))

    assert listing(client) == [
        {
            "Name": "t.example.test.",
            "Type": "TXT",
            "TTL": 5,
            "ResourceRecords": [{"Value": value} for value in values],
        }
    ]


def test_names_are_listed_with_octal_escapes(client: Any) -> None:
    r"""A wildcard, a space and a dot inside a label show as `\OOO`."""
    for name in ("*.example.test", r"my\040site.example.test", r"v1\0562.example.test"):
        change(client, ("CREATE", srv(1, name=name)))

    assert [found["Name"] for found in listing(client)] == [
        r"\052.example.test.",
        r"my\040site.example.test.",
        r"v1\0562.example.test.",
    ]


def test_delete_and_create_in_one_batch_is_a_swap(client: Any) -> None:
    """DELETE shows what is there, in any order; CREATE what is to be there."""
    change(client, ("CREATE", srv(1, 2)))
    change(client, ("DELETE", srv(2, 1)), ("CREATE", srv(1, 2, 3)))

    (found,) = listing(client)
    assert len(found["ResourceRecords"]) == 3


def test_an_identical_delete_and_create_is_a_guard(client: Any) -> None:
    """It changes nothing, and is refused once the RRset is another."""
    change(client, ("CREATE", srv(1)))
    change(client, ("DELETE", srv(1)), ("CREATE", srv(1)))
    change(client, ("UPSERT", srv(2)))

    assert "do not match" in refused(client, ("DELETE", srv(1)), ("CREATE", srv(1)))


@pytest.mark.parametrize(
    "stale",
    [
        srv(1),
        srv(1, 2, 3),
        srv(1, 3),
        srv(1, 2, ttl=61),
        rrset("0 100 1 H.example.test.", "0 100 2 h.example.test."),
        rrset("0 100 1 h.example.test", "0 100 2 h.example.test."),
    ],
)
def test_a_delete_shows_exactly_what_is_there(client: Any, stale: dict[str, object]) -> None:
    """Another value, TTL or spelling is refused, with all that the batch holds."""
    change(client, ("CREATE", srv(1, 2)))

    other = ("CREATE", srv(1, name="other.example.test"))
    assert refused(client, other, ("DELETE", stale)) == (
        "Tried to delete resource record set [name='s.example.test.', type='SRV'] but the values "
        "provided do not match the current values"
    )


def test_a_delete_of_nothing_is_refused(client: Any) -> None:
    """There is no such RRset: neither of this type nor with this identifier."""
    change(client, ("CREATE", rrset("10.0.0.1", rdtype="A")))

    assert refused(client, ("DELETE", srv(1))) == (
        "Tried to delete resource record set [name='s.example.test.', type='SRV'] but it was "
        "not found"
    )
    sets = rrset("10.0.0.1", rdtype="A", SetIdentifier="a", MultiValueAnswer=True)
    assert "set-identifier='a'" in refused(client, ("DELETE", sets))


def test_a_create_over_what_is_there_is_refused(client: Any) -> None:
    """Even of the same content, and in another case of letters."""
    change(client, ("CREATE", rrset('"a"', rdtype="TXT")))

    again = rrset('"a"', rdtype="TXT", name="S.Example.Test")
    assert refused(client, ("CREATE", again)) == (
        "Tried to create resource record set [name='s.example.test.', type='TXT'] but it already "
        "exists"
    )


@pytest.mark.parametrize(
    "actions",
    [
        ("CREATE", "DELETE"),
        ("CREATE", "CREATE"),
        ("DELETE", "DELETE"),
        ("DELETE", "UPSERT"),
        ("UPSERT", "UPSERT"),
        ("DELETE", "CREATE", "DELETE"),
    ],
)
def test_a_batch_touches_an_rrset_once_or_swaps_it(client: Any, actions: tuple[str, ...]) -> None:
    """Any other set of changes to one RRset is invalid, whatever is there."""
    message = (
        "The request contains an invalid set of changes for a resource record set "
        "'SRV s.example.test.'"
    )
    assert refused(client, *((action, srv(1)) for action in actions)) == message
    change(client, ("CREATE", srv(1)))
    assert refused(client, *((action, srv(1)) for action in actions)) == message


def test_all_that_is_wrong_with_a_batch_is_said(client: Any) -> None:
    """The messages stand in the order of the changes, with a comma between them."""
    message = refused(
        client,
        ("DELETE", srv(1)),
        ("CREATE", srv(1, name="a.example.test")),
        ("CREATE", rrset("x", rdtype="A")),
    )
    assert message == (
        "Tried to delete resource record set [name='s.example.test.', type='SRV'] but it was not "
        "found, Invalid Resource Record: FATAL problem: ARRDATAIllegalIPv4Address (Value is not a "
        "valid IPv4 address) encountered with 'x'"
    )


def test_upsert_overwrites(client: Any) -> None:
    """It creates what is not there and replaces what is, whatever that was."""
    change(client, ("UPSERT", srv(1)))
    change(client, ("UPSERT", srv(2, ttl=5)))

    (found,) = listing(client)
    assert found["TTL"] == 5
    assert [record["Value"] for record in found["ResourceRecords"]] == ["0 100 2 h.example.test."]


@pytest.mark.parametrize("name", ["badexample.test", "test", "example.test.com", "."])
def test_a_name_outside_the_zone_is_refused(client: Any, name: str) -> None:
    """The zone's name must end the name, label by label."""
    message = refused(client, ("CREATE", srv(1, name=name)))
    assert message == (
        f"RRSet with DNS name {name.rstrip('.')}. is not permitted in zone example.test."
    )


@pytest.mark.parametrize("name", ["a..example.test", "é.example.test", "a b.example.test", ""])
def test_a_name_that_is_none_is_refused(client: Any, name: str) -> None:
    """Empty labels and characters that must be escaped."""
    assert "FATAL problem: " in refused(client, ("CREATE", srv(1, name=name)))


def test_values_are_checked_by_their_type(client: Any) -> None:
    """Each bad value is named with what is wrong about it; so is one that comes twice."""
    message = refused(client, ("CREATE", rrset("plain", '"a"', '"a"', rdtype="TXT")))
    assert message == (
        "Invalid Resource Record: FATAL problem: InvalidCharacterString (Value should be enclosed "
        "in quotation marks) encountered with 'plain', Duplicate Resource Record: '\"a\"'"
    )
    doubled = rrset("2001:db8::1", "2001:DB8:0::1", rdtype="AAAA")
    assert refused(client, ("CREATE", doubled)) == "Duplicate Resource Record: '2001:DB8:0::1'"


def test_a_cname_stands_alone_and_not_at_the_apex(client: Any) -> None:
    """Nothing beside it, whichever came first; a swap in one batch deletes first."""
    cname = rrset("h.example.test.", rdtype="CNAME")
    change(client, ("CREATE", srv(1)))
    assert refused(client, ("CREATE", cname), ("DELETE", srv(1))) == (
        "RRSet of type CNAME with DNS name s.example.test. is not permitted as it conflicts with "
        "other records with the same DNS name in zone example.test."
    )
    change(client, ("DELETE", srv(1)), ("CREATE", cname))
    assert refused(client, ("CREATE", srv(1))) == (
        "RRSet of type SRV with DNS name s.example.test. is not permitted because a conflicting "
        "RRSet of type CNAME with the same DNS name already exists in zone example.test."
    )
    apex = rrset("h.example.test.", rdtype="CNAME", name="example.test")
    assert "not permitted at apex" in refused(client, ("CREATE", apex))
    two = rrset("h.example.test.", "i.example.test.", rdtype="CNAME", name="c.example.test")
    assert "only one" in refused(client, ("CREATE", two))


def test_simple_and_routed_sets_do_not_stand_together(client: Any) -> None:
    """Nor do two routing policies; sets of one policy are told apart by identifier."""
    one, two = (
        srv(1, SetIdentifier=identifier, MultiValueAnswer=True, HealthCheckId="check")
        for identifier in ("one", "two")
    )
    change(client, ("CREATE", two))
    change(client, ("CREATE", one))
    assert listing(client) == [one, two]

    start = "RRSet with DNS name s.example.test., type SRV"
    assert refused(client, ("CREATE", srv(1))) == (
        f"{start} cannot be created as other RRSets exist with the same name and type."
    )
    weighted = srv(1, SetIdentifier="three", Weight=0)
    assert refused(client, ("CREATE", weighted)) == (
        f'{start}, SetIdentifier "three" cannot be created because a non weighted rrset exists '
        "with the same name and type."
    )
    change(client, ("DELETE", one), ("DELETE", two), ("CREATE", weighted))
    assert listing(client) == [weighted]
    change(client, ("DELETE", weighted), ("CREATE", srv(1)))
    assert "because a non multivalue answer rrset exists" in refused(client, ("CREATE", one))


def test_an_alias_and_a_place_are_listed_again(client: Any) -> None:
    """An alias has a target in place of TTL and values; a set may be for a country."""
    name = "balancer.example.net."
    target = {"HostedZoneId": "Z2", "DNSName": name, "EvaluateTargetHealth": False}
    alias: dict[str, object] = {"Name": NAME, "Type": "A", "AliasTarget": target}
    place = srv(1, SetIdentifier="de", GeoLocation={"CountryCode": "DE"})
    change(client, ("CREATE", alias), ("CREATE", place))

    assert listing(client) == [alias, place]
    change(client, ("DELETE", alias))


def test_a_batch_has_at_most_1000_records(client: Any) -> None:
    """A value counts once in CREATE and DELETE, twice in UPSERT."""
    parts = [srv(*range(334), name=f"{part}.example.test") for part in "abc"]
    message = "Number of records limit of 1000 exceeded."
    assert refused(client, *(("CREATE", part) for part in parts)) == message
    assert refused(client, *(("UPSERT", part) for part in parts[:2])).startswith(message)
    change(client, *(("CREATE", part) for part in parts[:2]), ("CREATE", srv(*range(332))))


def test_a_batch_has_at_most_32000_characters(client: Any) -> None:
    """Those of all values; those of an UPSERT count twice."""
    values = [f'"{number:03d}{"x" * 75}"' for number in range(400)]
    full = rrset(*values, rdtype="TXT")
    assert sum(map(len, values)) == 32_000
    assert refused(client, ("UPSERT", full)) == "RDATA character limit of 32000 exceeded."
    change(client, ("CREATE", full))
    more = ("CREATE", rrset("10.0.0.1", rdtype="A"))
    assert "32000" in refused(client, ("DELETE", full), more)


def test_an_rrset_has_at_most_400_values(client: Any) -> None:
    """One more is refused."""
    change(client, ("CREATE", srv(*range(400))))
    message = refused(client, ("CREATE", srv(*range(401), name="t.example.test")))
    assert message == "Cannot have more than 400 records in a RRSet."


def test_a_name_and_type_have_at_most_100_sets(client: Any) -> None:
    """One more is refused."""
    sets = [srv(1, SetIdentifier=str(number), MultiValueAnswer=True) for number in range(101)]
    change(client, *(("CREATE", each) for each in sets[:100]))
    assert "100" in refused(client, ("CREATE", sets[100]))
    change(client, ("UPSERT", sets[99]))


def test_a_listing_comes_in_pages_of_300(client: Any) -> None:
    """Each says where the next begins, down to the identifier."""
    sets = [srv(1, SetIdentifier=f"{n:03d}", MultiValueAnswer=True) for n in range(100)]
    hosts = [rrset("10.0.0.1", name=f"h{n:03d}.example.test.", rdtype="A") for n in range(600)]
    change(client, *(("CREATE", each) for each in sets))
    change(client, *(("CREATE", each) for each in hosts))

    page = client.list_resource_record_sets(HostedZoneId="Z1", MaxItems="1000")
    assert (len(page["ResourceRecordSets"]), page["MaxItems"]) == (300, "300")
    assert listing(client) == [*hosts, *sets]
    page = client.list_resource_record_sets(
        HostedZoneId="Z1",
        StartRecordName=NAME,
        StartRecordType="SRV",
        StartRecordIdentifier="041",
        MaxItems="2",
    )
    assert page["ResourceRecordSets"] == sets[41:43]
    assert page["IsTruncated"]
    assert (page["NextRecordName"], page["NextRecordType"]) == (NAME, "SRV")
    assert page["NextRecordIdentifier"] == "043"


def test_a_point_read_of_what_is_not_there_gives_the_next(client: Any) -> None:
    """As at Route 53, the reader must look at name and type."""
    change(client, ("CREATE", rrset('"a"', rdtype="TXT")))
    (found,) = client.list_resource_record_sets(
        HostedZoneId="Z1", StartRecordName="S.example.test", StartRecordType="SRV", MaxItems="1"
    )["ResourceRecordSets"]
    assert found["Type"] == "TXT"


@pytest.mark.parametrize(
    "start",
    [
        {"StartRecordType": "A"},
        {"StartRecordName": NAME, "StartRecordIdentifier": "a"},
        {"StartRecordName": NAME, "StartRecordType": "X"},
        {"StartRecordName": "a..b"},
        {"MaxItems": "0"},
        {"MaxItems": "many"},
    ],
)
def test_a_start_that_makes_no_sense_is_invalid_input(client: Any, start: dict[str, str]) -> None:
    """Half a position, or none."""
    with pytest.raises(client.exceptions.InvalidInput):
        client.list_resource_record_sets(HostedZoneId="Z1", **start)


def test_a_change_is_pending_until_its_time(client: Any, clock: list[float]) -> None:
    """A listing shows it at once, GetChange tells when it is served."""
    info = change(client, ("CREATE", srv(1)))["ChangeInfo"]
    assert info["Status"] == "PENDING"
    assert listing(client) == [srv(1)]
    assert client.get_change(Id=info["Id"])["ChangeInfo"]["Status"] == "PENDING"
    clock[0] = 30.0
    assert client.get_change(Id=info["Id"])["ChangeInfo"]["Status"] == "INSYNC"
    with pytest.raises(client.exceptions.NoSuchChange):
        client.get_change(Id="C999")


def test_a_zone_is_made_and_removed(client: Any) -> None:
    """It must be empty to be removed; its creation is a change of its own."""
    made = client.create_hosted_zone(
        Name="New.Example",
        CallerReference="b",
        HostedZoneConfig={"Comment": "mine"},
        DelegationSetId="N1",
    )
    zone_id = made["HostedZone"]["Id"]
    assert made["HostedZone"]["Name"] == "new.example."
    assert made["HostedZone"]["Config"] == {"Comment": "mine", "PrivateZone": False}
    assert made["Location"] == f"{client.meta.endpoint_url}/2013-04-01{zone_id}"
    client.get_change(Id=made["ChangeInfo"]["Id"])
    assert len(made["DelegationSet"]["NameServers"]) == 4
    with pytest.raises(client.exceptions.HostedZoneAlreadyExists):
        client.create_hosted_zone(Name="new.example", CallerReference="b")

    change(client, ("CREATE", srv(1, name="a.new.example")), zone=zone_id)
    with pytest.raises(client.exceptions.HostedZoneNotEmpty):
        client.delete_hosted_zone(Id=zone_id)
    change(client, ("DELETE", srv(1, name="a.new.example")), zone=zone_id)
    client.delete_hosted_zone(Id=zone_id)
    with pytest.raises(client.exceptions.NoSuchHostedZone) as caught:
        client.get_hosted_zone(Id=zone_id)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert "No hosted zone found with ID: Z" in str(caught.value)


def test_a_private_zone_shows_its_networks(client: Any) -> None:
    """A VPC makes a zone private; a private one has no name servers to delegate to."""
    vpc = {"VPCRegion": "us-west-2", "VPCId": "vpc-1"}
    made = client.create_hosted_zone(Name="example.test", CallerReference="b", VPC=vpc)
    got = client.get_hosted_zone(Id=made["HostedZone"]["Id"])
    assert got["HostedZone"]["Config"]["PrivateZone"]
    assert got["VPCs"] == [vpc]
    assert "DelegationSet" not in got
    with pytest.raises(client.exceptions.InvalidInput):
        client.create_hosted_zone(
            Name="x.test", CallerReference="c", HostedZoneConfig={"PrivateZone": True}
        )
    with pytest.raises(client.exceptions.InvalidDomainName):
        client.create_hosted_zone(Name="x..test", CallerReference="c")


def test_zones_are_listed_by_age_and_by_name(client: Any) -> None:
    """Both listings come in pages; by name the order is that of reversed labels."""
    for reference, name in enumerate(["b.test", "a.z.test", "z.test", "a.test"]):
        client.create_hosted_zone(Name=name, CallerReference=str(reference))

    pages = client.get_paginator("list_hosted_zones").paginate(PaginationConfig={"PageSize": 2})
    found = [zone["Name"] for page in pages for zone in page["HostedZones"]]
    assert found == ["example.test.", "b.test.", "a.z.test.", "z.test.", "a.test."]

    page = client.list_hosted_zones_by_name(DNSName="AA.test", MaxItems="2")
    assert [zone["Name"] for zone in page["HostedZones"]] == ["b.test.", "example.test."]
    assert (page["DNSName"], page["IsTruncated"]) == ("aa.test.", True)
    page = client.list_hosted_zones_by_name(
        DNSName=page["NextDNSName"], HostedZoneId=page["NextHostedZoneId"]
    )
    assert [zone["Name"] for zone in page["HostedZones"]] == ["z.test.", "a.z.test."]
    assert not page["IsTruncated"]


def test_nothing_is_lost_when_many_join_at_once(client: Any) -> None:
    """Sixteen clients add their values to one RRset by compare-and-swap: all are there."""

    def join(port: int) -> None:
        for _ in range(1000):
            (found,) = client.list_resource_record_sets(
                HostedZoneId="Z1", StartRecordName=NAME, StartRecordType="SRV", MaxItems="1"
            )["ResourceRecordSets"]
            value = {"Value": f"0 100 {port} h.example.test."}
            joined = {**found, "ResourceRecords": [*found["ResourceRecords"], value]}
            with contextlib.suppress(client.exceptions.InvalidChangeBatch):
                change(client, ("DELETE", found), ("CREATE", joined))
                return
        raise AssertionError("never won")

    change(client, ("CREATE", srv(0)))
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(join, range(1, 3 * THREADS + 1)))

    (found,) = listing(client)
    ports = [int(record["Value"].split()[2]) for record in found["ResourceRecords"]]
    assert sorted(ports) == list(range(3 * THREADS + 1))


def test_any_region_will_do(api: Api) -> None:
    """A client signs with its own region where the endpoint is not AWS's."""
    for region in ("eu-central-1", "cn-northwest-1", "us-gov-west-1"):
        with contextlib.closing(connect(api, region=region)) as client:
            assert client.list_hosted_zones()["HostedZones"]


def test_requests_are_remembered_with_their_outcome(api: Api, client: Any) -> None:
    """By operation, status, error and client."""
    client.list_hosted_zones()
    refused(client, ("DELETE", srv(1)))

    assert [exchange[:3] for exchange in api.requests()][::2] == [
        ("ListHostedZones", 200, None),
        ("ChangeResourceRecordSets", 400, "InvalidChangeBatch"),
    ]
    assert api.count("under-test") == api.count() == 4
    assert api.count("someone else") == 0


def test_a_wrapper_stands_between_client_and_zone() -> None:
    """A rate limit, a policy or a fault is laid around the operations and is remembered."""

    def throttled(handler: Handler) -> Handler:
        turns = itertools.count()

        def handle(request: Request) -> Response:
            if next(turns) < 1:
                return refusal(request.id, Rejection("Throttling", "Rate exceeded"))
            return handler(request)

        return handle

    with Api(HostedZones(), wrap=throttled) as api, contextlib.closing(connect(api)) as client:
        with pytest.raises(ClientError, match="Rate exceeded"):
            client.list_hosted_zones()
        client.list_hosted_zones()
        assert [exchange.error for exchange in api.requests()] == ["Throttling", None]


def test_a_bug_is_an_answer_and_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    """The client gets an InternalFailure, the terminal nothing."""

    def broken(_: Handler) -> Handler:
        return lambda request: Response(200, request.headers["nowhere"].encode())

    with Api(HostedZones(), wrap=broken) as api:
        assert raw(api, "GET", "/")[:2] == (500, "KeyError")
    assert capfd.readouterr() == ("", "")


def raw(
    api: Api, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, str, http.client.HTTPMessage]:
    """The status, the message and the headers that an unsigned request is answered with."""
    with contextlib.closing(http.client.HTTPConnection(api.host, api.port, timeout=30)) as link:
        link.request(method, path, body, headers or {})
        with link.getresponse() as response:
            text = response.read().decode()
            message = text.partition("<Message>")[2].partition("</Message>")[0]
            return response.status, message, response.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/2013-04-01/hostedzonecount", 404),
        ("GET", "/2013-04-01/hostedzone/Z1/rrset/x", 404),
        ("PUT", "/2013-04-01/hostedzone", 405),
        ("DELETE", "/2013-04-01/change/C1", 405),
        ("HEAD", "/2013-04-01/hostedzone", 405),
        ("BREW", "/2013-04-01/hostedzone", 405),
        ("GET", "/2013-04-01/hostedzone", 403),
        ("GET", "//[/2013-04-01/hostedzone", 404),
        ("GET", "/?" + "&".join(f"a{n}=1" for n in range(50)), 400),
    ],
)
def test_an_odd_request_has_an_answer(api: Api, method: str, path: str, status: int) -> None:
    """Unknown paths and methods, and requests without a signature."""
    found, _, headers = raw(api, method, path)
    assert found == status
    assert headers["x-amzn-RequestId"]


def test_an_odd_url_has_an_answer(api: Api) -> None:
    """Even one that a client's library would not send."""
    with socket.create_connection((api.host, api.port), timeout=30) as link:
        link.sendall(b"GET http://[/ HTTP/1.1\r\n\r\n")
        assert link.recv(12) == b"HTTP/1.1 400"


def test_a_huge_body_is_refused(api: Api) -> None:
    """Before it is kept; so is one without a length, or with an odd one."""
    path = "/2013-04-01/hostedzone/Z1/rrset/"
    assert raw(api, "POST", path, b"x" * 8_000_000)[0] == 413
    assert raw(api, "POST", path, headers={"Transfer-Encoding": "chunked"})[0] == 411
    assert raw(api, "POST", path, headers={"Content-Length": "-1"})[0] == 400


def test_what_follows_an_unreadable_request_is_not_read(api: Api) -> None:
    """It may be the rest of it: the connection ends after one answer."""
    request = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    with socket.create_connection((api.host, api.port), timeout=30) as link:
        link.sendall(request)
        answers = b""
        with contextlib.suppress(ConnectionResetError):  # there was more to read
            while part := link.recv(65536):
                answers += part
    assert answers.count(b"HTTP/1.1 ") <= 1
    assert api.requests() == ()
