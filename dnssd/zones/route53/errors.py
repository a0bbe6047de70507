"""What an error of the AWS client means: try again, uncertain, or final."""

import re
from collections.abc import Sequence

from botocore import exceptions as aws
from botocore.parsers import ResponseParserError
from urllib3.exceptions import LocationValueError

from dnssd import errors
from dnssd.names import Name
from dnssd.rrsets import Change
from dnssd.zones.retry import Fate, Verdict

MAX_SAID = 500  # characters of what the provider said

_THROTTLED = {  # what botocore itself would wait for
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_TRANSIENT = {"IDPCommunicationError", "RequestTimeout", "RequestTimeoutException"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_BAD_CREDENTIALS = {
    "AuthFailure",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_NEVER_SENT = (
    aws.EndpointConnectionError,
    aws.ConnectTimeoutError,
    aws.ProxyConnectionError,
)
_LOST = (
    aws.HTTPClientError,
    ResponseParserError,
    errors.MalformedName,
    errors.MalformedRecord,
    KeyError,
    ValueError,
    TypeError,
)
_NOT_TO_BE_HAD = (
    aws.NoCredentialsError,
    aws.CredentialRetrievalError,
    aws.MetadataRetrievalError,
    OSError,  # of a token's file
)
_NO_CREDENTIALS = (
    aws.PartialCredentialsError,
    aws.SSOError,
    aws.LoginError,
    aws.TokenRetrievalError,
)
# A RuntimeError is botocore's word for fresh credentials that have ended by this host's clock.
_KNOWN = (*_LOST, aws.BotoCoreError, OSError, RuntimeError, errors.UsageError)
_LIMIT = re.compile(r"\blimit (of )?\d+ exceeded|\bmaximum number\b", re.IGNORECASE)

# What AWS quotes of a request that it does not take, and the passwords of proxies.
_QUOTED = re.compile(
    r"the canonical string for this request|AWS4-HMAC-SHA256|invalid header"
    r"|(authorization|security-token|secret|password)[\w-]*[\"']?\s*[:=]",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"(?<=//)\S*@")


class MalformedCredentials(errors.UsageError):
    """Credentials that hold what none can hold; no request was sent."""


def judge(error: Exception, what: str, rights: str, region: str) -> Verdict:
    """Translate an error of a client, of its making or of reading an answer.

    Args:
        error: The error.
        what: The zone and action, for the message.
        rights: What a policy has to allow for this request and no more, as advice.
        region: Where the region is from that counts, as advice.

    Raises:
        Exception: As given, if it is none of these.
    """
    text = str(error)
    cause = error if without_secrets(text) == " ".join(text.split()).rstrip(".") else None
    if isinstance(error, aws.ClientError):
        fate, told = _judge_answer(error, what, rights, region)
        code = str(error.response.get("Error", {}).get("Code", ""))
        return Verdict(fate, told, cause, renew=code in _EXPIRED)
    if not isinstance(error, _KNOWN) or (isinstance(error, RuntimeError) and "expired" not in text):
        raise error  # a mistake, of whomever: nothing that we know how to put
    fate, told = _judge_failure(error, what, region)
    return Verdict(fate, told, cause, renew=_is_of_session(error))


def rights_to_change(changes: Sequence[Change]) -> str:
    """What a policy has to cover for one batch: these records, and no others."""
    types: dict[Name, set[str]] = {}
    for change in changes:
        types.setdefault(change.name, set()).add(change.rdtype)
    records = ", ".join(f"{'/'.join(sorted(kinds))} {name}" for name, kinds in types.items())
    option = "--plain-name" if {"CNAME"} in types.values() else "--host-pattern"
    return (
        f"the policy does not cover {records}: that of 'dnssd iam-policy' covers the service it "
        f"names and hosts i-*; see its {option}"
    )


def without_secrets(text: str) -> str:
    """A provider's or library's words on one line, up to where they quote a header."""
    line = _PASSWORD.sub("***@", " ".join(text.split()))
    quoted = _QUOTED.search(line)
    return (f"{line[: quoted.start()]}…" if quoted else line).rstrip(".")


def _judge_failure(error: Exception, what: str, region: str) -> tuple[Fate, errors.DnssdError]:
    """Of an error before there was an answer, or of one that cannot be read."""
    line = without_secrets(str(error))
    if isinstance(error, MalformedCredentials):
        return Fate.FINAL, errors.UsageError(f"{what}: {line}")
    if unsendable := _unsendable(error):
        return Fate.FINAL, errors.UsageError(f"{what}: {unsendable}")
    if isinstance(error, aws.SSLError) and "CERTIFICATE_VERIFY_FAILED" in line:
        advice = "check the clock, and AWS_CA_BUNDLE if a proxy intercepts TLS"
        return Fate.FINAL, errors.Unavailable(f"{what}: {line}; {advice}")
    if _is_of_session(error):
        return Fate.NOT_DONE, errors.AccessDenied(f"{what}: {_lacking(error)}")
    if isinstance(error, _NEVER_SENT):
        advice = "check the network and the endpoint"
        return Fate.NOT_DONE, errors.Unavailable(f"{what}: {line}; {advice}")
    if isinstance(error, _LOST) and not _is_configuration(error):
        kind = type(error).__name__
        return Fate.UNKNOWN, errors.Unavailable(f"{what}: no answer: {kind}: {line}")
    if isinstance(error, _NO_CREDENTIALS):
        return Fate.FINAL, errors.AccessDenied(f"{what}: {_lacking(error)}")
    wrong = region if isinstance(error, aws.InvalidRegionError) else "the AWS configuration"
    return Fate.FINAL, errors.UsageError(f"{what}: {line}; check {wrong}")


def _is_of_session(error: Exception) -> bool:
    """Whether credentials could not be had, or have ended by this host's clock."""
    return isinstance(error, (*_NOT_TO_BE_HAD, RuntimeError)) and not isinstance(
        error, aws.ConnectionError
    )


def _is_configuration(error: Exception) -> bool:
    """Whether it is botocore's word for a value that is wrong, which is a ValueError too."""
    return isinstance(error, aws.BotoCoreError) and not isinstance(error, aws.HTTPClientError)


def _lacking(error: Exception) -> str:
    if isinstance(error, RuntimeError):
        return f"{without_secrets(str(error))}; check this host's clock"
    if isinstance(error, OSError) and error.filename is not None:
        why = f"{error.filename}: {error.strerror}"
    else:
        why = without_secrets(str(error))
    return (
        f"no AWS credentials: {why}; "
        "give the instance a role, or set AWS_PROFILE or AWS_ACCESS_KEY_ID"
    )


def _unsendable(error: Exception) -> str | None:
    """Why a request can never be sent; None if that is not what happened."""
    cause = error.kwargs.get("error") if isinstance(error, aws.HTTPClientError) else None
    if isinstance(cause, LocationValueError):
        return "a malformed URL; check HTTPS_PROXY, HTTP_PROXY and the endpoint"
    if isinstance(cause, UnicodeEncodeError) or "Invalid header" in str(cause):
        return "a header that cannot be sent; check the AWS credentials and the AWS variables"
    return None


def _judge_answer(
    error: aws.ClientError, what: str, rights: str, region: str
) -> tuple[Fate, errors.DnssdError]:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = _said(error)
    if code in _THROTTLED or status == 429:
        advice = "the AWS account is at its request rate, which all its tools share"
        return Fate.THROTTLED, errors.Unavailable(f"{what}: {code}; {advice}")
    if status >= 500 or status == 408 or code in _TRANSIENT:
        return Fate.UNKNOWN, errors.Unavailable(f"{what}: {code}: {said}")
    if not code or code.isdigit():  # of a proxy, or cut short
        return Fate.UNKNOWN, errors.Unavailable(f"{what}: HTTP {status}, and no word of why")
    if code in ("AccessDenied", "AccessDeniedException"):
        if "explicit deny" in said:
            advice = "no policy of this role can allow it: ask whoever set that rule"
            return Fate.FINAL, errors.Forbidden(f"{what}: denied: {said}; {advice}")
        advice = "allow sts:AssumeRole on the role" if "sts:AssumeRole" in said else rights
        return Fate.DENIED, errors.AccessDenied(f"{what}: denied: {said}; {advice}")
    if code in _EXPIRED:
        return Fate.NOT_DONE, errors.AccessDenied(
            f"{what}: {code}: {said}; {_advice(f'{code} {said}', region)}"
        )
    return Fate.FINAL, _refusal(code, said, what, region)


def _refusal(code: str, said: str, what: str, region: str) -> errors.DnssdError:
    if _LIMIT.search(said) or code.startswith(("LimitsExceeded", "TooMany")):
        return errors.RRsetFull(f"{what}: {said}; a limit of the zone: ask AWS for a higher one")
    if code == "InvalidChangeBatch":
        return errors.Conflict(f"{what}: {said}")
    if code == "NoSuchHostedZone":
        return errors.ZoneNotFound(f"{what}: {said}; check the ID and the account")
    if code in _BAD_CREDENTIALS:
        advice = _advice(f"{code} {said}", region)
        return errors.AccessDenied(f"{what}: {code}: {said}; {advice}")
    if code in ("InvalidInput", "InvalidDomainName"):
        return errors.ChangeRejected(f"{what}: {code}: {said}")
    return errors.ZoneError(f"{what}: {code}: {said}")


def _advice(said: str, region: str) -> str:
    if "valid region" in said:
        return (
            f"{region} is in another partition than the zone: set AWS_REGION to one of the zone's"
        )
    if "expired" in said.lower() or "not yet current" in said.lower():
        return "check this host's clock, and the age of the credentials"
    return "the AWS credentials are not valid here: check AWS_PROFILE or the role"


def _said(error: aws.ClientError) -> str:
    """The provider's words on one line; InvalidChangeBatch has them in one of two places."""
    response = error.response
    said = str(response.get("Error", {}).get("Message", "")) or str(response.get("messages", ""))
    line = without_secrets(said) or "no reason given"
    return line if len(line) <= MAX_SAID else line[:MAX_SAID] + "…"
