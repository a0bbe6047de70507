"""What Route 53 or a host lacks for a moment is asked for again; what it lacks for good ends."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from dnssd import Registration, errors, join, open_zone
from dnssd.registration.leaving import leave
from dnssd.registration.operation import Operation
from dnssd.rrsets import Change, RRset
from dnssd.sandbox.api.exchange import Handler, Request, Response, refusal
from dnssd.sandbox.api.hostedzones import HostedZones
from dnssd.sandbox.api.rejections import Rejection
from dnssd.sandbox.api.server import Api
from dnssd.zones.base import Zone
from kit.clouds import Clock, Fake, Reply, serving
from kit.invariants import INSTANCE, ORIGIN, srv

ADD = (Change(None, RRset(INSTANCE, "SRV", 60, (srv("a"),))),)

KEYS = {"AccessKeyId": "ASIA", "SecretAccessKey": "secret"}
Refuse = Callable[[Request], Response]


@contextmanager
def refusing(
    monkeypatch: pytest.MonkeyPatch, refusals: Sequence[Refuse | None], *, keys: bool = True
) -> Iterator[tuple[HostedZones, str]]:
    """A Route 53 that first refuses, or not: None; gives its zones, and a zone address."""
    steps = iter(refusals)

    def wrap(handler: Handler) -> Handler:
        return lambda request: (next(steps, None) or handler)(request)

    store = HostedZones()
    zone = store.create_zone(ORIGIN, caller_reference="patience")
    with Api(store, wrap=wrap) as api:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", api.url)
        if keys:
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
        yield store, f"example.test,id={zone.id}"


def says(code: str, status: int = 400, message: str = "no") -> Refuse:
    """An answer that refuses as Route 53 does."""
    return lambda request: refusal(request.id, Rejection(code, message, status))


def answers(status: int, body: bytes) -> Refuse:
    """An answer of somebody on the way."""
    return lambda request: Response(status, body)


def by_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, **answer: str
) -> None:
    """Have the credentials come from a command, as those of roles come from elsewhere."""
    (tmp_path / "answer.json").write_text(json.dumps({"Version": 1, **KEYS, **answer}))
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = sh -c '{command}'\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.chdir(tmp_path)


def read(zone: Zone, clock: Clock, seconds: float) -> None:
    """One request, by which all of it shows."""
    assert zone.read(ORIGIN, "SOA", clock.deadline(seconds)) is not None


def test_rights_that_a_new_role_lacks_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After 5, 10 and 20 seconds, where there is a boot's time; keys in the environment are old."""
    by_process(monkeypatch, tmp_path, "cat answer.json")
    clock = Clock()
    with refusing(monkeypatch, [says("AccessDenied", 403)] * 3, keys=False) as (_, address):
        open_zone(address).commit(ADD, clock.deadline(120))
    assert clock.slept == [5, 10, 20]
    for seconds, keys, slept in ((120, False, 35), (25, False, 0), (120, True, 0)):
        clock = Clock()
        with (
            refusing(monkeypatch, [says("AccessDenied", 403)] * 9, keys=keys) as (_, address),
            pytest.raises(errors.AccessDenied, match=r"not cover SRV web\..*--host-pattern"),
        ):
            open_zone(address).commit(ADD, clock.deadline(seconds))
        assert sum(clock.slept) == slept


def test_credentials_that_cannot_be_had_now_are_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a new session: the command fails once, and the agent it asks is there then."""
    by_process(monkeypatch, tmp_path, "test -e x && cat answer.json || ! touch x")
    clock = Clock()
    with refusing(monkeypatch, [], keys=False) as (_, address):
        read(open_zone(address), clock, 25)
    assert len(clock.slept) == 1


def test_a_missing_token_file_is_waited_for_and_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is a file that others write."""
    missing = tmp_path / "token"
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(missing))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r")
    clock = Clock()
    with (
        refusing(monkeypatch, [], keys=False) as (_, address),
        pytest.raises(errors.DeadlineExceeded, match=f"{missing}: No such file"),
    ):
        read(open_zone(address), clock, 3)
    assert clock.now >= 3


class Role(Fake):
    """EC2's metadata, which has the role's credentials after some questions."""

    def __init__(self, lacks: int) -> None:
        super().__init__()
        self.lacks = lacks

    @staticmethod
    def awaited(monkeypatch: pytest.MonkeyPatch) -> None:
        """Have it asked, and waited for on a busy machine: a second is botocore's own patience."""
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        monkeypatch.setenv("AWS_METADATA_SERVICE_TIMEOUT", "60")

    def reply(self, method: str, target: str, headers: Mapping[str, str]) -> Reply:
        """A token, the role, its keys."""
        if method == "PUT":
            return Reply(200, "token")
        self.lacks -= 1
        if self.lacks >= 0:
            return Reply(404)
        ends = {"Expiration": "2100-01-01T00:00:00Z", "Token": "t", "Code": "Success"}
        return Reply(200, "role" if target.endswith("/") else json.dumps({**KEYS, **ends}))


@pytest.mark.parametrize(("lacks", "slept"), [(1, 1), (10**6, None)])
def test_metadata_without_a_role_may_have_one_in_a_moment(
    monkeypatch: pytest.MonkeyPatch, lacks: int, slept: int | None
) -> None:
    """In the first seconds of a host; the deadline ends it."""
    clock = Clock()
    Role.awaited(monkeypatch)
    with serving(Role(lacks)) as fake, refusing(monkeypatch, [], keys=False) as (_, address):
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", fake.url)
        if slept is not None:
            read(open_zone(address), clock, 25)
            assert len(clock.slept) == slept
            return
        with pytest.raises(errors.DeadlineExceeded, match="give the instance a role"):
            read(open_zone(address), clock, 3)


def test_metadata_are_asked_past_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sets HTTP_PROXY seldom thinks of 169.254.169.254 in NO_PROXY."""
    Role.awaited(monkeypatch)
    monkeypatch.setenv("NO_PROXY", "localhost")
    with serving(Role(0)) as fake, refusing(monkeypatch, [], keys=False) as (_, address):
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", fake.url)
        url = os.environ["AWS_ENDPOINT_URL_ROUTE_53"].replace("127.0.0.1", "localhost")
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", url)
        for variable in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(variable, "http://127.0.0.1:1")

        clock = Clock()
        read(open_zone(address), clock, 25)
    assert clock.slept == []


def test_a_session_that_has_ended_is_renewed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where it came from elsewhere; what stands in the environment stays as it is."""
    by_process(monkeypatch, tmp_path, "echo >> asked; cat answer.json")
    with refusing(monkeypatch, [says("ExpiredToken", 403)], keys=False) as (_, address):
        read(open_zone(address), Clock(), 25)
    assert (tmp_path / "asked").read_text() == "\n\n"
    with (
        refusing(monkeypatch, [says("ExpiredToken", 403)]) as (_, address),
        pytest.raises(errors.AccessDenied, match="age of the credentials"),
    ):
        read(open_zone(address), Clock(), 25)


@pytest.mark.parametrize(
    "refuse",
    [
        answers(400, b""),
        answers(408, b""),
        answers(429, b""),
        answers(403, b"<html>who are you?</html>"),
        says("RequestTimeout"),
        says("RequestLimitExceeded", 503),
        says("ThrottledException"),
        says("TooManyRequestsException", 429),
    ],
)
def test_answers_that_say_nothing_of_the_request_are_none(
    monkeypatch: pytest.MonkeyPatch, refuse: Refuse
) -> None:
    """A read is sent again; a change was refused for sure, and made, or is read again."""
    with refusing(monkeypatch, [refuse]) as (_, address):
        read(open_zone(address), Clock(), 25)
    with refusing(monkeypatch, [refuse]) as (store, address):
        zone = open_zone(address)
        try:
            zone.commit(ADD, Clock().deadline(25))
        except errors.OutcomeUnknown:
            zone.commit(ADD, Clock().deadline(25))
        assert store.zone(address.partition("=")[2]).node(INSTANCE)


def test_what_was_throttled_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which a long listing is not."""
    with refusing(monkeypatch, [says("Throttling"), says("InternalFailure", 500)]) as (_, address):
        zone = open_zone(address)
        read(zone, Clock(), 25)
    assert (zone.requests, zone.throttled) == (3, 1)


def test_a_zone_that_was_made_anew_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it was found by its name; an ID that the address names is the user's word."""
    with refusing(monkeypatch, []) as (store, address):
        by_name, by_id = open_zone("example.test"), open_zone(address)
        store.delete_zone(address.partition("=")[2])
        store.create_zone(ORIGIN, caller_reference="anew")
        by_name.commit(ADD, Clock().deadline())
        assert by_name.read(INSTANCE, "SRV", Clock().deadline()) is not None
        with pytest.raises(errors.ZoneNotFound, match="check the ID"):
            by_id.read(INSTANCE, "SRV", Clock().deadline())


def test_a_leave_waits_after_each_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others change the same records: whoever asks again at once meets them again."""
    web = Registration(service="http", instance="web", port=80, host="a", addresses=["10.0.0.1"])
    taken = says("InvalidChangeBatch", message="Tried to delete it but it was not found")
    steps = [None, None, taken, None, None, taken]  # the removal of all at once, and the fold
    with refusing(monkeypatch, []) as (zones, address):
        join(open_zone(address), web)
        clock = Clock()
        refused = iter(steps)

        def wrap(handler: Handler) -> Handler:
            return lambda request: (next(refused, None) or handler)(request)

        with Api(zones, wrap=wrap) as api:
            monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", api.url)
            zone = open_zone(address)
            outcome = leave(Operation(zone, clock.deadline()), web.departure_in(zone.origin))

    assert outcome.changed
    assert next(refused, "all") == "all"
    assert len(clock.slept) == 1
    assert clock.slept[0] > 0
