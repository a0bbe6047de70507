"""The AWS client of a zone: whose credentials, and how long to wait for an answer."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import boto3
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    Credentials,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import NoCredentialsError
from botocore.session import get_session

from dnssd import __version__
from dnssd.zones.route53.errors import MalformedCredentials

if TYPE_CHECKING:
    from mypy_boto3_route53 import Route53Client

_SOURCES = {"env": "the environment", "shared-credentials-file": "the credentials file"}


def route53_client(options: Mapping[str, str], timeout: float) -> "Route53Client":
    """A client with the credentials that a zone address chooses.

    Args:
        options: `profile` and `role`, if they are given.
        timeout: Seconds to wait for each answer, of STS too.

    Raises:
        BotoCoreError: The configuration is wrong.
    """
    config = Config(
        connect_timeout=min(timeout, 5),
        read_timeout=timeout,
        retries={"total_max_attempts": 1},  # the caller's deadline rules over retries
        user_agent_extra=f"dnssd/{__version__}",
    )
    session = _checked(boto3.Session(profile_name=options.get("profile")))
    if role := options.get("role"):
        core = get_session()
        assumed = _AssumedRole(session, role, config)
        core.register_component("credential_provider", CredentialResolver([assumed]))
        session = _checked(boto3.Session(botocore_session=core))
    client = session.client("route53", config=config, region_name=_region(session))
    if credentials := session.get_credentials():
        client.meta.events.register(  # each time: they are renewed from where they came
            "before-sign.route53", lambda **_: check_credentials(credentials)
        )
    return client


def check_headers(request: AWSPreparedRequest, **_: object) -> None:
    """Look for a header that the HTTP library would refuse to send, and print.

    Raises:
        MalformedCredentials: The message says which one; credentials are what it is made of.
    """
    for name, value in request.headers.items():
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        odd = next((char for char in text if not " " <= char <= "\xff" or char == "\x7f"), None)
        if odd is not None:
            raise MalformedCredentials(
                f"the header {name} would hold {_character(odd)}; "
                "check the AWS credentials and the AWS variables"
            )


def check_credentials(credentials: Credentials) -> None:
    """Look for what no credential holds, such as the newline of `echo KEY | base64`.

    A secret with a newline makes a signature that nobody can explain.

    Raises:
        MalformedCredentials: The message says which one, where it is from and what is wrong.
    """
    frozen = credentials.get_frozen_credentials()
    for what, value in (
        ("access key ID", frozen.access_key),
        ("secret access key", frozen.secret_key),
        ("session token", frozen.token),
    ):
        odd = next((char for char in value or "" if not "!" <= char <= "~"), None)
        if odd is not None:
            raise MalformedCredentials(
                f"the AWS {what} (from {_SOURCES.get(credentials.method, credentials.method)}) "
                f"holds {_character(odd)}; write it anew, without one"
            )


def _checked(session: boto3.Session) -> boto3.Session:
    """A session all of whose clients look at their headers, those that fetch credentials too."""
    session.events.register("before-send", check_headers)
    return session


def _region(session: boto3.Session) -> str:
    """The configured region: it tells the partition. Route 53 itself has no regions."""
    return session.region_name or "us-east-1"


def _character(odd: str) -> str:
    names = {"\n": "a newline", "\r": "a carriage return", " ": "a space", "\t": "a tab"}
    return names.get(odd, f"the character U+{ord(odd):04X}")


class _AssumedRole(CredentialProvider):
    """Credentials of another role, fetched when first used and again before they end."""

    METHOD = "assume-role"

    def __init__(self, session: boto3.Session, role: str, config: Config) -> None:
        self._session = session
        self._role = role
        self._config = config

    def load(self) -> DeferredRefreshableCredentials:
        source = self._session.get_credentials()
        if source is None:
            raise NoCredentialsError
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=partial(
                self._session.client, region_name=_region(self._session), config=self._config
            ),
            source_credentials=source,
            role_arn=self._role,
            extra_args={"RoleSessionName": "dnssd"},
        )
        return DeferredRefreshableCredentials(
            method=self.METHOD, refresh_using=fetcher.fetch_credentials
        )
