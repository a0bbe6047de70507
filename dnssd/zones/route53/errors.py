"""What an error of the AWS client means: try again, uncertain, or final."""

import re
from dataclasses import dataclass
from enum import Enum

from botocore import exceptions as aws
from botocore.parsers import ResponseParserError
from urllib3.exceptions import LocationValueError

from dnssd import errors

# A RuntimeError is botocore's word for fresh credentials that have ended by this host's clock.
FAILURES = (aws.ClientError, aws.BotoCoreError, ResponseParserError, RuntimeError)
MALFORMED = (KeyError, ValueError, TypeError, errors.UsageError)  # from reading an answer

LONGEST = 500  # characters of what the provider said

_THROTTLED = {"Throttling", "ThrottlingException", "PriorRequestNotComplete", "SlowDown"}
_NEVER_SENT = (
    aws.EndpointConnectionError,
    aws.ConnectTimeoutError,
    aws.ProxyConnectionError,
    aws.CredentialRetrievalError,
    aws.MetadataRetrievalError,
)
_LOST = (aws.HTTPClientError, ResponseParserError)
_NO_CREDENTIALS = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.SSOError,
    aws.TokenRetrievalError,
)
_BAD_CREDENTIALS = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


# What AWS quotes of a request that it does not take, and the passwords of proxies.
_QUOTED = re.compile(
    r"the canonical string for this request|AWS4-HMAC-SHA256|invalid header"
    r"|(authorization|security-token|secret|password)[\w-]*[\"']?\s*[:=]",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"(?<=//)\S*@")


class MalformedCredentials(errors.UsageError):
    """Credentials that hold what none can hold; no request was sent."""


class Fate(Enum):
    """What became of the request."""

    NOT_DONE = "it was not carried out: try again"
    UNKNOWN = "it may have been carried out"
    FINAL = "it was refused: trying again will not help"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a request, and the error that says so."""

    fate: Fate
    error: errors.DnssdError

    def cause(self, error: Exception) -> Exception | None:
        """What a traceback may show beneath: nothing where that would show a secret."""
        text = str(error)
        return error if without_secrets(text) == " ".join(text.split()).rstrip(".") else None


def judge(error: Exception, what: str) -> Verdict:
    """Translate one of `FAILURES` or `MALFORMED`.

    Args:
        error: The client's error.
        what: The zone and action, for the message.

    Raises:
        RuntimeError: As given, unless it speaks of credentials.
    """
    if isinstance(error, aws.ClientError):
        return _judge_answer(error, what)
    if isinstance(error, MalformedCredentials):
        return Verdict(Fate.FINAL, errors.UsageError(f"{what}: {error}"))
    if malformed := _unsendable(error):
        return Verdict(Fate.FINAL, errors.UsageError(f"{what}: {malformed}"))
    if isinstance(error, aws.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        advice = "check the clock, and AWS_CA_BUNDLE if a proxy intercepts TLS"
        return Verdict(Fate.FINAL, errors.Unavailable(f"{what}: {_line(error)}; {advice}"))
    if isinstance(error, RuntimeError):
        if "expired" not in str(error):
            raise error  # a mistake, of whomever: nothing that we know how to put
        advice = "check this host's clock"
        return Verdict(Fate.FINAL, errors.AccessDenied(f"{what}: {_line(error)}; {advice}"))
    if isinstance(error, _NEVER_SENT):
        return Verdict(
            Fate.NOT_DONE,
            errors.Unavailable(f"{what}: {_line(error)}; check the network and the endpoint"),
        )
    if isinstance(error, _LOST) or not isinstance(error, aws.BotoCoreError):
        return Verdict(
            Fate.UNKNOWN,
            errors.Unavailable(f"{what}: no answer: {type(error).__name__}: {_line(error)}"),
        )
    if isinstance(error, _NO_CREDENTIALS):
        return Verdict(
            Fate.FINAL,
            errors.AccessDenied(
                f"{what}: no AWS credentials: {_line(error)}; "
                "give the instance a role, or set AWS_PROFILE or AWS_ACCESS_KEY_ID"
            ),
        )
    return Verdict(
        Fate.FINAL, errors.UsageError(f"{what}: {_line(error)}; check the AWS configuration")
    )


def _judge_answer(error: aws.ClientError, what: str) -> Verdict:
    code = str(error.response.get("Error", {}).get("Code", ""))
    said = _said(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _THROTTLED:
        advice = "the AWS account is at its request rate, which all its tools share"
        return Verdict(Fate.NOT_DONE, errors.Unavailable(f"{what}: {code}; {advice}"))
    if status >= 500:
        return Verdict(Fate.UNKNOWN, errors.Unavailable(f"{what}: {code}: {said}"))
    return Verdict(Fate.FINAL, _refusal(code, said, what))


def _refusal(code: str, said: str, what: str) -> errors.DnssdError:
    if code == "InvalidChangeBatch":
        return errors.Conflict(f"{what}: {said}")
    if code == "NoSuchHostedZone":
        return errors.ZoneNotFound(f"{what}: {said}; check the ID and the account")
    if code in ("AccessDenied", "AccessDeniedException"):
        action = what.rpartition(" ")[2]
        where = {"GetChange": "arn:aws:route53:::change/*", "ListHostedZonesByName": "*"}
        allow = f"route53:{action} on {where.get(action, 'the zone')}"
        if "sts:AssumeRole" in said:
            allow = "sts:AssumeRole on the role"
        return errors.AccessDenied(f"{what}: denied: {said}; allow {allow}")
    if code in _BAD_CREDENTIALS:
        return errors.AccessDenied(f"{what}: {code}: {said}; {_advice(said)}")
    if code in ("InvalidInput", "InvalidDomainName"):
        return errors.ChangeRejected(f"{what}: {code}: {said}")
    return errors.ZoneError(f"{what}: {code or 'error'}: {said}")


def _advice(said: str) -> str:
    if "valid region" in said:
        return "AWS_REGION is in another partition than the zone: set one of the zone's own"
    if "expired" in said.lower() or "not yet current" in said.lower():
        return "check this host's clock, and the age of the credentials"
    return "the AWS credentials are not valid here: check AWS_PROFILE or the role"


def without_secrets(text: str) -> str:
    """A provider's or library's words on one line, up to where they quote a header."""
    line = _PASSWORD.sub("***@", " ".join(text.split()))
    quoted = _QUOTED.search(line)
    return (f"{line[: quoted.start()]}…" if quoted else line).rstrip(".")


def _unsendable(error: Exception) -> str | None:
    """Why a request can never be sent; None if that is not what happened."""
    cause = error.kwargs.get("error") if isinstance(error, aws.HTTPClientError) else None
    if isinstance(cause, LocationValueError):
        return "a malformed URL; check HTTPS_PROXY, HTTP_PROXY and the endpoint"
    if isinstance(cause, UnicodeEncodeError) or "Invalid header" in str(cause):
        return "a header that cannot be sent; check the AWS credentials and the AWS variables"
    return None


def _said(error: aws.ClientError) -> str:
    """The provider's words on one line; InvalidChangeBatch has them in one of two places."""
    response = error.response
    said = str(response.get("Error", {}).get("Message", "")) or str(response.get("messages", ""))
    line = without_secrets(said) or "no reason given"
    return line if len(line) <= LONGEST else line[:LONGEST] + "…"


def _line(error: Exception) -> str:
    return without_secrets(str(error))
