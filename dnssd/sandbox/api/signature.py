"""Who may ask: anybody whose request bears a signature made for Route 53."""

import re
from collections.abc import Mapping

from dnssd.sandbox.api.rejections import Rejection

_CREDENTIAL = re.compile(
    r"AWS4-HMAC-SHA256 .*\bCredential=[^/,\s]{1,128}/[0-9]{8}/([^/]*)/([^/]*)/"
)


def check_signature(headers: Mapping[str, str]) -> None:
    """Look at the scope of the signature; the signature itself proves nothing here.

    Args:
        headers: By name in lower case.

    Raises:
        Rejection: There is none, or it is for another service or region.
    """
    authorization = headers.get("authorization")
    if not authorization:
        raise Rejection("MissingAuthenticationToken", "Missing Authentication Token", 403)
    match = _CREDENTIAL.match(authorization)
    if not match:
        raise Rejection("IncompleteSignature", "Authorization header has no credential scope", 403)
    region, service = match.groups()
    if region != "us-east-1":
        raise Rejection(
            "SignatureDoesNotMatch",
            f"Credential should be scoped to a valid region, not '{region}'. ",
            403,
        )
    if service != "route53":
        raise Rejection(
            "SignatureDoesNotMatch",
            "Credential should be scoped to correct service: 'route53'. ",
            403,
        )
