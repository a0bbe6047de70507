"""The Route 53 zone against the sandbox's API: finding zones, faults, credentials."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from dnssd import Registration, errors, join, open_zone
from dnssd.records import Address
from dnssd.registration import joining
from dnssd.registration.operation import Operation
from dnssd.rrsets import Change, RRset
from dnssd.sandbox.api.exchange import Handler, Request, Response, refusal
from dnssd.sandbox.api.hostedzones import HostedZones, Vpc
from dnssd.sandbox.api.operations import action
from dnssd.sandbox.api.rejections import Rejection
from dnssd.sandbox.api.server import Api
from dnssd.sandbox.sandbox import Sandbox
from kit.interleaving import patient
from kit.invariants import BROWSE, INSTANCE, ORIGIN, srv

EMPTY = (
    b'<ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/">'
    b"<ResourceRecordSets/><IsTruncated>false</IsTruncated><MaxItems>1</MaxItems>"
    b"</ListResourceRecordSetsResponse>"
)
ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId>
<SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>
<Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>
</AssumeRoleResponse>"""
ADD = (Change(None, RRset(INSTANCE, "SRV", 60, (srv("a"),))),)
ONE = (Address.parse("10.0.0.1"),)
WEB = Registration(service="http", instance="web", port=80, host="a", addresses=["10.0.0.1"])


@pytest.fixture
def environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The sandbox, in the environment of this process."""
    for key, value in sandbox.environment().items():
        monkeypatch.setenv(key, value)
    return sandbox.environment()


@contextmanager
def faulty(
    monkeypatch: pytest.MonkeyPatch, wrap: Callable[[Handler], Handler]
) -> Iterator[tuple[Api, str]]:
    """A Route 53 of which `wrap` answers for; gives the API and a zone address."""
    store = HostedZones()
    zone = store.create_zone(ORIGIN, caller_reference="faulty")
    with Api(store, wrap=wrap) as api:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", api.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
        yield api, f"example.test,id={zone.id}"


@contextmanager
def once(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server for one connection; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)

        def run() -> None:
            connection, _ = listener.accept()
            connection.settimeout(60)
            with connection:
                serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()


def first(
    times: int, fault: Callable[[Request, Handler], Response]
) -> Callable[[Handler], Handler]:
    """Lay a fault around the first changes."""
    left = [times]

    def wrap(handler: Handler) -> Handler:
        def handle(request: Request) -> Response:
            if action(request) == "ChangeResourceRecordSets" and left[0] > 0:
                left[0] -= 1
                return fault(request, handler)
            return handler(request)

        return handle

    return wrap


def rejects(
    code: str, status: int = 400, message: str = ""
) -> Callable[[Request, Handler], Response]:
    """The fault of an answer that refuses."""
    return lambda request, _: refusal(request.id, Rejection(code, message or code, status))


@pytest.mark.usefixtures("environment")
def test_a_zone_is_found_by_name_by_id_or_both(sandbox: Sandbox) -> None:
    """What the address leaves out is looked up, with one request; nothing else is."""
    for address, requests in (
        ("example.test", 1),
        ("route53:Example.Test.", 1),
        (sandbox.zone_id, 1),
        (f"example.test,id={sandbox.zone_id}", 0),
    ):
        zone = open_zone(address)
        assert zone.origin == ORIGIN
        assert zone.requests == requests
        assert zone.read(ORIGIN, "SOA", patient()) is not None


@pytest.mark.usefixtures("environment")
def test_the_zone_of_the_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is for the commands; the error names the variable."""
    assert open_zone().origin == ORIGIN
    for value, says in (
        ("", "names no zone"),
        ("a.test b.test", "2 zones"),
        ("x:y", "no provider"),
    ):
        monkeypatch.setenv("DNSSD_ZONE", value)
        with pytest.raises(errors.UsageError, match=f"^DNSSD_ZONE: .*{says}"):
            open_zone()


@pytest.mark.usefixtures("environment")
def test_public_and_private_zones_of_one_name_are_told_apart(sandbox: Sandbox) -> None:
    """Two zones of a name are an error that lists them, unless the address decides."""
    private = sandbox.zones.create_zone(ORIGIN, vpc=Vpc(), caller_reference="second")
    with pytest.raises(errors.AmbiguousZone) as caught:
        open_zone("example.test")
    assert private.id in str(caught.value)
    assert sandbox.zone_id in str(caught.value)
    for choice, zone_id in (("yes", private.id), ("no", sandbox.zone_id)):
        zone = open_zone(f"example.test,private={choice}")
        zone.commit(ADD, patient())
        chosen = next(zone for zone in sandbox.zones.zones() if zone.id == zone_id)
        assert chosen.node(INSTANCE)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("address", "error", "says"),
    [
        ("example.org", errors.ZoneNotFound, "no hosted zone of this name"),
        ("xample.test", errors.ZoneNotFound, "no hosted zone of this name"),
        ("example.test,private=yes", errors.ZoneNotFound, "no private hosted zone.* is public"),
        ("Z0UNKNOWN00", errors.ZoneNotFound, "Z0UNKNOWN00"),
        ("example.test,profile=nobody", errors.UsageError, "profile"),
    ],
)
def test_a_zone_that_is_not_there_is_a_clear_error(
    address: str, error: type[Exception], says: str
) -> None:
    """Each its own type and words."""
    with pytest.raises(error, match=says):
        open_zone(address)


@pytest.mark.usefixtures("environment")
def test_an_unknown_id_beside_a_name_is_an_error_when_used() -> None:
    """Nothing is looked up for such an address, so the first request tells."""
    zone = open_zone("example.test,id=Z0UNKNOWN00")
    with pytest.raises(errors.ZoneNotFound, match="Z0UNKNOWN00"):
        join(zone, WEB)


def test_without_credentials_nothing_is_sent(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what to set."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", sandbox.api_url)
    with pytest.raises(errors.AccessDenied, match=r"no AWS credentials.*AWS_PROFILE"):
        open_zone("example.test")
    assert sandbox.api.count() == 0


@pytest.mark.parametrize("region", ["no such region", "http://elsewhere"])
@pytest.mark.usefixtures("environment")
def test_a_malformed_region_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    """It is told before anything is sent."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    with pytest.raises(errors.UsageError, match=r"(?i)region"):
        open_zone("example.test")


def test_an_unreachable_api_is_tried_until_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error tells what could not be reached, and that nothing was written."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    zone = open_zone("example.test,id=Z0123456789ABC")
    with pytest.raises(errors.DeadlineExceeded) as caught:
        joining.join(Operation(zone, patient(60)), WEB.wish_in(ORIGIN))
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "nothing was written" in str(caught.value)
    assert zone.requests > 3


@pytest.mark.parametrize("code", ["Throttling", "PriorRequestNotComplete"])
def test_throttled_requests_are_sent_again(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """They were not carried out, so that is safe; the client's own retries stay out of it."""
    with faulty(monkeypatch, first(3, rejects(code, 400, "Rate exceeded"))) as (api, address):
        zone = open_zone(address)
        zone.commit(ADD, patient())
        assert zone.requests == api.count() == 4
        assert zone.read(INSTANCE, "SRV", patient()) == ADD[0].after


def test_throttling_for_ever_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what was throttled, and what is true in the zone."""
    endless = first(10**6, rejects("Throttling", 400, "Rate exceeded"))
    with faulty(monkeypatch, endless) as (_, address):
        zone = open_zone(address)
        with pytest.raises(errors.DeadlineExceeded, match=r"Throttling.*nothing was written"):
            joining.join(Operation(zone, patient(60)), WEB.wish_in(ORIGIN))


@pytest.mark.parametrize("done", [True, False], ids=["carried out", "not carried out"])
def test_an_error_of_the_server_leaves_the_outcome_unknown(
    monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    """A 5xx is not sent again blindly: the caller reads first."""

    def fault(request: Request, handler: Handler) -> Response:
        if done:
            handler(request)
        return refusal(request.id, Rejection("InternalFailure", "try again", 500))

    with faulty(monkeypatch, first(1, fault)) as (api, address):
        zone = open_zone(address)
        with pytest.raises(errors.OutcomeUnknown):
            zone.commit(ADD, patient())
        assert api.count() == 1
        assert (zone.read(INSTANCE, "SRV", patient()) is not None) == done


@pytest.mark.parametrize("done", [True, False], ids=["carried out", "not carried out"])
@pytest.mark.parametrize("at", [1, 2], ids=["announce", "fold"])
def test_a_join_goes_on_after_a_lost_answer(
    monkeypatch: pytest.MonkeyPatch, done: bool, at: int
) -> None:
    """The join reads again, and ends with one value and one record of each."""
    changes = [0]

    def wrap(handler: Handler) -> Handler:
        def handle(request: Request) -> Response:
            changes[0] += action(request) == "ChangeResourceRecordSets"
            if action(request) == "ChangeResourceRecordSets" and changes[0] == at:
                if done:
                    handler(request)
                return refusal(request.id, Rejection("ServiceUnavailable", "gone", 503))
            return handler(request)

        return handle

    with faulty(monkeypatch, wrap) as (_, address):
        zone = open_zone(address)
        joining.join(Operation(zone, patient()), WEB.wish_in(ORIGIN))
        found = zone.read_below(INSTANCE, patient())
        assert [one.rdtype for one in found] == ["SRV", "TXT", "TXT"]
        assert zone.read(INSTANCE, "SRV", patient()) == ADD[0].after


@pytest.mark.usefixtures("environment")
def test_a_connection_that_breaks_mid_answer_leaves_the_outcome_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half an answer is no answer."""

    def half(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<Change")

    with once(half) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", f"http://127.0.0.1:{port}")
        zone = open_zone("example.test,id=Z0123456789ABC")
        with pytest.raises(errors.OutcomeUnknown):
            zone.commit(ADD, patient())


@pytest.mark.parametrize(
    ("code", "message", "error", "says"),
    [
        ("AccessDenied", "User is not authorized", errors.AccessDenied, "does not cover SRV web"),
        (
            "AccessDenied",
            "x is not authorized, with an explicit deny in a service control policy",
            errors.Forbidden,
            "service control policy; no policy of this role can allow it",
        ),
        ("ExpiredToken", "The token has expired", errors.AccessDenied, "clock"),
        ("InvalidClientTokenId", "not valid", errors.AccessDenied, "AWS_PROFILE"),
        ("SignatureDoesNotMatch", "Signature not yet current: x", errors.AccessDenied, "clock"),
        (
            "InvalidSignatureException",
            "Credential should be scoped to a valid region. ",
            errors.AccessDenied,
            "another partition than the zone: set AWS_REGION to one of the zone's",
        ),
        ("InvalidInput", "no", errors.ChangeRejected, "InvalidInput: no"),
        ("LimitsExceeded", "too many", errors.RRsetFull, "too many; a limit of the zone"),
        (
            "InvalidChangeBatch",
            "[Number of records limit of 10000 exceeded.]",
            errors.RRsetFull,
            "10000",
        ),
        ("NoSuchThing", "no", errors.ZoneError, "NoSuchThing: no"),
    ],
)
def test_refusals_are_translated(
    monkeypatch: pytest.MonkeyPatch, code: str, message: str, error: type[Exception], says: str
) -> None:
    """Each with what the provider said and what to do."""
    with faulty(monkeypatch, first(1, rejects(code, 403, message))) as (_, address):
        with pytest.raises(error, match=says) as caught:
            open_zone(address).commit(ADD, patient(30))
        assert "sandbox" not in str(caught.value)


@pytest.mark.usefixtures("environment")
def test_fresh_credentials_that_have_ended_are_the_clocks_doing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a host whose clock is a day ahead; the client has no error of its own for it."""
    answer, config = tmp_path / "answer.json", tmp_path / "config"
    answer.write_text(
        '{"Version": 1, "AccessKeyId": "ASIA", "SecretAccessKey": "secret", '
        '"SessionToken": "token", "Expiration": "2000-01-01T00:00:00Z"}'
    )
    config.write_text(f"[default]\ncredential_process = cat {answer}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    zone = open_zone("example.test,id=Z0123456789ABC")

    with pytest.raises(errors.DeadlineExceeded, match=r"still expired; check this host's clock;"):
        zone.commit(ADD, patient(1))


def test_a_batch_that_the_zone_never_takes_ends_as_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Refusals that reading does not explain are not taken for races for ever."""
    fault = rejects("InvalidChangeBatch", 400, "[no records of that kind, please]")
    with faulty(monkeypatch, first(10**6, fault)) as (_, address):
        zone = open_zone(address)
        with pytest.raises(errors.ChangeRejected, match="no records of that kind"):
            joining.join(Operation(zone, patient()), WEB.wish_in(ORIGIN))
        assert zone.requests < 40


@pytest.mark.usefixtures("environment")
def test_no_request_is_an_upsert_and_each_names_its_tool(sandbox: Sandbox) -> None:
    """Which is what lets a policy withhold UPSERT, and an account tell who asks."""
    zone = open_zone(f"example.test,id={sandbox.zone_id}")
    join(zone, WEB)
    join(
        zone,
        Registration(
            service="http", instance="web", port=80, host="a", addresses=["10.0.0.2"], weight=1
        ),
    )
    assert sandbox.api.count() == sandbox.api.count("dnssd/")


@pytest.mark.usefixtures("environment")
def test_foreign_kinds_of_rrset_are_seen_and_left_alone(sandbox: Sandbox) -> None:
    """Alias, weighted and multivalue RRsets are read, told apart, and make a join refuse."""
    import boto3

    client = boto3.client("route53")
    for name, extra in (
        ("weighted", {"SetIdentifier": "one", "Weight": 1, "TTL": 60}),
        ("multivalue", {"SetIdentifier": "one", "MultiValueAnswer": True, "TTL": 60}),
    ):
        client.change_resource_record_sets(
            HostedZoneId=sandbox.zone_id,
            ChangeBatch={
                "Changes": [
                    {
                        "Action": "CREATE",
                        "ResourceRecordSet": {
                            "Name": f"{name}._http._tcp.example.test",
                            "Type": "SRV",
                            "ResourceRecords": [{"Value": "0 0 80 x.example.test."}],
                            **extra,  # type: ignore[typeddict-item] # made above
                        },
                    }
                ]
            },
        )
        zone = open_zone(f"example.test,id={sandbox.zone_id}")
        found = zone.read(BROWSE.child(name.encode()), "SRV", patient())
        assert found is not None
        assert found.kind == name
        with pytest.raises(errors.Refused, match=f"{name} record"):
            join(
                zone,
                Registration(
                    service="http", instance=name, port=80, host="a", addresses=["10.0.0.1"]
                ),
            )


@pytest.mark.usefixtures("environment")
def test_the_proxy_is_the_clients_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY reaches the AWS client as anywhere else."""
    seen: list[bytes] = []

    def refuse(connection: socket.socket) -> None:
        seen.append(connection.recv(1000))
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with once(refuse) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", "https://route53.example.test")
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.delenv("NO_PROXY")
        zone = open_zone("example.test,id=Z0123456789ABC")
        with pytest.raises(errors.DeadlineExceeded, match="proxy"):
            zone.read(ORIGIN, "SOA", patient(0))
    assert seen[0].startswith(b"CONNECT route53.example.test:443")


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("trusted", [True, False])
def test_the_ca_bundle_is_the_clients_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trusted: bool
) -> None:
    """AWS_CA_BUNDLE decides whose certificates are trusted; without it the error names it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def answer(connection: socket.socket) -> None:
        with suppress(ssl.SSLError), context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(4096)
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(EMPTY) + EMPTY)

    with once(answer) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", f"https://127.0.0.1:{port}")
        if trusted:
            authority.cert_pem.write_to_path(tmp_path / "bundle.pem")
            monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "bundle.pem"))
        zone = open_zone("example.test,id=Z0123456789ABC")
        if trusted:
            assert zone.read(ORIGIN, "SOA", patient(0)) is None
        else:
            with pytest.raises(errors.Unavailable, match="AWS_CA_BUNDLE"):
                zone.read(ORIGIN, "SOA", patient(0))


@pytest.mark.usefixtures("environment")
def test_a_profile_and_a_role_choose_the_credentials(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The profile's key asks STS for the role, and the role's key signs what follows."""
    asked: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        asked.append(connection.recv(65536))
        while b"Version=" not in asked[0]:  # the body may come in a packet of its own
            asked[0] += connection.recv(65536)
        body = ASSUMED.encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"
        connection.sendall(head % len(body) + body)

    seen: list[str] = []

    def wrap(handler: Handler) -> Handler:
        def handle(request: Request) -> Response:
            seen.append(request.headers["authorization"])
            return handler(request)

        return handle

    config = tmp_path / "config"
    config.write_text(
        "[profile other]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = secret\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    role = "arn:aws:iam::210987654321:role/dns"
    with Api(sandbox.zones, wrap=wrap) as api, once(answer) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", api.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{port}")
        zone = open_zone(f"example.test,id={sandbox.zone_id},profile=other,role={role}")
        zone.actor = "join i-0abc"
        assert zone.read(ORIGIN, "SOA", patient()) is not None
    assert b"Credential=AKIDPROFILE/" in asked[0]
    assert b"role%2Fdns" in asked[0]
    assert b"RoleSessionName=i-0abc&" in asked[0] + b"&"
    assert "Credential=ASIAROLE/" in seen[0]


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    "body", [b"", b"<html><body>Sign in</body></html>", b"<ListResourceRecordSetsResponse/>"]
)
def test_an_answer_that_is_none_is_not_taken_for_one(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """A portal's page with status 200: a read goes on trying, a commit is uncertain."""

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with once(answer) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", f"http://127.0.0.1:{port}")
        zone = open_zone("example.test,id=Z0123456789ABC")
        with pytest.raises(errors.DeadlineExceeded, match="no answer"):
            zone.read_below(INSTANCE, patient(0))
    with once(answer) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", f"http://127.0.0.1:{port}")
        zone = open_zone("example.test,id=Z0123456789ABC")
        with pytest.raises(errors.OutcomeUnknown, match="no answer"):
            zone.commit(ADD, patient(0))


@pytest.mark.usefixtures("environment")
def test_the_log_of_the_account_tells_who_wrote(sandbox: Sandbox) -> None:
    """The comment of each batch names command, host and members."""
    zone = open_zone("example.test")
    join(zone, WEB)
    assert zone.actor == "join a"
    submission = zone.commit((Change(None, RRset(BROWSE.child(b"x"), "A", 60, ONE)),), patient())
    assert sandbox.zones.submission(submission.rpartition("/")[2]).comment == "dnssd join a"
