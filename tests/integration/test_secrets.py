"""What holds a secret never reaches an error, a traceback or the log."""

import logging
import re
import traceback
from pathlib import Path

import pytest

from dnssd import errors, open_zone
from dnssd.sandbox.api.exchange import Handler, Request, Response, refusal
from dnssd.sandbox.api.rejections import Rejection
from dnssd.sandbox.api.server import Api
from dnssd.sandbox.sandbox import Sandbox
from kit.interleaving import patient
from kit.invariants import ORIGIN

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDSECRET", "AWS_SECRET_ACCESS_KEY": "SECRETKEY"}
QUOTED = (
    "The request signature we calculated does not match the signature you provided.\n\n"
    "The Canonical String for this request should have been\n'GET\n/2013-04-01\n\n"
    "x-amz-security-token:SECRETTOKEN\n'"
)
INCOMPLETE = (
    "'x' not a valid key=value pair (missing equal-sign) in Authorization header: "
    "'AWS4-HMAC-SHA256 Credential=AKIDSECRET/20260101, Signature=SECRET'"
)


@pytest.fixture(autouse=True)
def _environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {**sandbox.environment(), **KEYS}.items():
        monkeypatch.setenv(key, value)


def told(
    error: type[errors.DnssdError], caplog: pytest.LogCaptureFixture, address: str, seconds: int = 0
) -> str:
    """What a failed read says, once nothing it shows holds a secret."""
    caplog.set_level(logging.INFO, "dnssd")
    with pytest.raises(error) as caught:
        open_zone(address).read(ORIGIN, "SOA", patient(seconds))
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "SECRET" not in shown
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("AWS_ACCESS_KEY_ID", "AKIDSECRET\n", "access key ID .*environment.* a newline"),
        ("AWS_ACCESS_KEY_ID", "AKIDSECRET\u20ac", r"access key ID .* U\+20AC"),
        ("AWS_SECRET_ACCESS_KEY", "SECRETKEY\r", "secret access key .* a carriage return"),
        ("AWS_SESSION_TOKEN", "SECRET\x07TOKEN", r"session token .* U\+0007"),
        ("AWS_SESSION_TOKEN", "SECRET TOKEN", "session token .* a space"),
    ],
)
def test_a_malformed_credential_is_told_before_anything_is_sent(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variable: str,
    value: str,
    says: str,
) -> None:
    """Such as the newline that `echo KEY | base64` leaves in a Kubernetes secret."""
    monkeypatch.setenv(variable, value)
    message = told(errors.UsageError, caplog, f"example.test,id={sandbox.zone_id}", 3600)
    assert re.search(says, message)
    assert sandbox.api.count() == 0


@pytest.mark.parametrize("role", ["", ",role=arn:aws:iam::210987654321:role/dns"])
def test_a_malformed_credential_of_a_profile_is_told_too(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    role: str,
) -> None:
    """A line that begins with a space continues the one before; STS is not asked either."""
    file = tmp_path / "credentials"
    file.write_text("[p]\naws_access_key_id = AKIDSECRET\n  x\naws_secret_access_key = SECRET\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    address = f"example.test,id={sandbox.zone_id},profile=p{role}"
    message = told(errors.UsageError, caplog, address, 3600)
    assert re.search(
        "access key ID .from the credentials file. holds|header Authorization", message
    )
    assert "a newline" in message
    assert sandbox.api.count() == 0


def test_a_key_that_botocore_itself_uses_is_checked_too(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """Where a profile has a role, botocore asks for it, and would log the header."""
    config = tmp_path / "config"
    config.write_text(
        "[profile r]\nrole_arn = arn:aws:iam::210987654321:role/dns\nsource_profile = s\n"
        "[profile s]\naws_access_key_id = AKIDSECRET\n  x\naws_secret_access_key = SECRET\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    address = f"example.test,id={sandbox.zone_id},profile=r"
    assert "header Authorization would hold a newline" in told(
        errors.UsageError, caplog, address, 3600
    )


def test_a_malformed_proxy_ends_at_once_and_its_password_stays_hidden(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A port that none can have will not become one."""
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", "http://user:SECRET@127.0.0.1:99999")
    address = f"example.test,id={sandbox.zone_id}"
    assert "HTTP_PROXY" in told(errors.UsageError, caplog, address, 3600)


@pytest.mark.parametrize(
    ("code", "said"),
    [("SignatureDoesNotMatch", QUOTED), ("IncompleteSignature", INCOMPLETE)],
)
def test_what_the_service_quotes_of_a_request_is_left_out(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    code: str,
    said: str,
) -> None:
    """AWS answers a wrong signature with the headers that it has read, the token among them."""

    def wrap(_: Handler) -> Handler:
        def handle(request: Request) -> Response:
            return refusal(request.id, Rejection(code, said, 403))

        return handle

    with Api(sandbox.zones, wrap=wrap) as api:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", api.url)
        address = f"example.test,id={sandbox.zone_id}"
        assert code in told(errors.AccessDenied, caplog, address)
