"""The AWS client of a zone: whose credentials, and how long to wait for an answer."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import NoCredentialsError
from botocore.session import get_session

from dnssd import __version__

if TYPE_CHECKING:
    from mypy_boto3_route53 import Route53Client


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
    session = boto3.Session(profile_name=options.get("profile"))
    if role := options.get("role"):
        core = get_session()
        assumed = _AssumedRole(session, role, config)
        core.register_component("credential_provider", CredentialResolver([assumed]))
        session = boto3.Session(botocore_session=core)
    return session.client("route53", config=config, region_name=_region(session))


def _region(session: boto3.Session) -> str:
    """The configured region: it tells the partition. Route 53 itself has no regions."""
    return session.region_name or "us-east-1"


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
