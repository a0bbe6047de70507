"""The AWS client of a zone: whose credentials, and how long to wait for an answer."""

import os
import re
import socket
import urllib.parse
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import boto3
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    ContainerProvider,
    CredentialProvider,
    CredentialResolver,
    Credentials,
    DeferredRefreshableCredentials,
    InstanceMetadataProvider,
)
from botocore.exceptions import InvalidRegionError, NoCredentialsError
from botocore.httpsession import URLLib3Session
from botocore.session import get_session
from botocore.utils import METADATA_BASE_URL, IMDSFetcher, InstanceMetadataRegionFetcher

from dnssd.errors import UsageError
from dnssd.version import __version__
from dnssd.wire.routes import is_ipv6_only, source_for
from dnssd.zones.route53.errors import MalformedCredentials, without_secrets

if TYPE_CHECKING:
    from mypy_boto3_route53 import Route53Client

USUAL_REGION = "us-east-1"  # Route 53 itself has none: it stands for the partition
_USUAL_NAME = "dnssd"  # of a role's session
_NOT_IN_NAME = re.compile(r"[^\w+=,.@-]", re.ASCII)
_REGION = re.compile(r"[a-z]+(-[a-z]+)+-[0-9]+")
_METADATA, _METADATA_IPV6 = "169.254.169.254", "fd00:ec2::254"
_STATIC = {"env", "shared-credentials-file", "config-file"}  # where what is read stays so
_SOURCES = {"env": "the environment", "shared-credentials-file": "the credentials file"}


class Session:
    """A client of Route 53, made when it is first used, and made anew when it must be."""

    def __init__(self, options: Mapping[str, str], timeout: float) -> None:
        """Prepare; nothing is read or asked.

        Args:
            options: `profile` and `role` of a zone address, if they are given.
            timeout: Seconds to wait for each answer, of STS too.
        """
        self._options = options
        self._config = Config(
            connect_timeout=min(timeout, 5),
            read_timeout=timeout,
            retries={"total_max_attempts": 1},  # the caller's deadline rules over retries
            user_agent_extra=f"dnssd/{__version__}",
            use_dualstack_endpoint=is_ipv6_only() or None,  # None: as configured
        )
        self._name = _USUAL_NAME
        self._credentials: Credentials | None = None
        self._client: Route53Client | None = None

    def client(self) -> "Route53Client":
        """The client.

        Raises:
            UsageError: The endpoint, region or configuration is malformed.
            BotoCoreError: The configuration is wrong, or credentials cannot be had.
            OSError: A file that it names cannot be read.
        """
        if self._client is None:
            try:
                self._client = self._made()
            except InvalidRegionError:
                raise
            except ValueError as error:
                raise UsageError(without_secrets(str(error))) from None
        return self._client

    def renew(self) -> None:
        """Forget the client: the next one reads files and asks for credentials again."""
        self._client = self._credentials = None

    def act_as(self, host: str) -> None:
        """Call a role's session by this host from now on: the account's log tells it."""
        name = _NOT_IN_NAME.sub("-", host)[:64]
        if len(name) > 1 and name != self._name and "role" in self._options:
            self._name = name
            self.renew()

    @property
    def region_from(self) -> str:
        """Where its region is from, for people."""
        variables = ("AWS_REGION", "AWS_DEFAULT_REGION")
        set_one = next((name for name in variables if os.environ.get(name)), None)
        return set_one or "the region of the AWS configuration or of this instance"

    def may_change(self, error: Exception) -> bool:
        """Whether a new session may have what this one lacks.

        Args:
            error: What came of that.
        """
        if isinstance(error, NoCredentialsError):  # nobody has any, unless this is a cloud's host
            return _metadata_answers()
        return self._credentials is None or self._credentials.method not in _STATIC

    def _made(self) -> "Route53Client":
        session = _checked(boto3.Session(profile_name=self._options.get("profile")))
        if role := self._options.get("role"):
            core = get_session()
            assumed = _AssumedRole(session, role, self._config, self._name)
            core.register_component("credential_provider", CredentialResolver([assumed]))
            session = _checked(boto3.Session(botocore_session=core))
        _past_proxies(session)
        region = _configured_region(session) or USUAL_REGION
        if (odd := _odd(region)) is not None:  # botocore takes a newline at its end
            raise MalformedCredentials(
                f"{self.region_from} holds {_character(odd)}; write it anew, without one"
            )
        client = session.client("route53", config=self._config, region_name=region)
        self._credentials = credentials = session.get_credentials()
        if (own := _region(session)) != region:  # the instance has told
            client = session.client("route53", config=self._config, region_name=own)
        if credentials:
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
        if (odd := _odd(value or "")) is not None:
            raise MalformedCredentials(
                f"the AWS {what} (from {_SOURCES.get(credentials.method, credentials.method)}) "
                f"holds {_character(odd)}; write it anew, without one"
            )


def _odd(value: str) -> str | None:
    """The first character that is neither a letter, a digit nor a mark of ASCII."""
    return next((char for char in value if not "!" <= char <= "~"), None)


def _checked(session: boto3.Session) -> boto3.Session:
    """A session all of whose clients look at their headers, those that fetch credentials too."""
    session.events.register("before-send", check_headers)
    return session


def _region(session: boto3.Session) -> str:
    """The region: it tells the partition. Route 53 itself has no regions.

    `AWS_REGION` counts, then what boto3 reads: `AWS_DEFAULT_REGION` and the configuration. An
    instance that says nothing is asked where it is.
    """
    return _configured_region(session) or _region_of_instance(session) or USUAL_REGION


def _configured_region(session: boto3.Session) -> str | None:
    return os.environ.get("AWS_REGION") or session.region_name


def _past_proxies(session: boto3.Session) -> None:
    """Have the metadata service asked directly: a proxy would answer for itself, or not at all.

    botocore has no setting for it; whoever sets HTTP_PROXY seldom thinks of NO_PROXY as well.
    """
    resolver = session._session.get_component("credential_provider")
    for provider in resolver.providers:
        if isinstance(provider, InstanceMetadataProvider):
            _ask_directly(vars(provider)["_role_fetcher"])
        elif isinstance(provider, ContainerProvider):  # which sleeps between tries of its own
            vars(vars(provider)["_fetcher"])["RETRY_ATTEMPTS"] = 1


def _ask_directly(fetcher: IMDSFetcher) -> None:
    if fetcher.get_base_url() == METADATA_BASE_URL:  # nothing else is configured
        vars(fetcher)["_base_url"] = _metadata_url()
    seconds = vars(fetcher)["_timeout"]
    vars(fetcher)["_session"] = URLLib3Session(timeout=seconds, proxies={})


def _region_of_instance(session: boto3.Session) -> str | None:
    credentials = session.get_credentials()
    if credentials is None or credentials.method != "iam-role":
        return None
    fetcher = InstanceMetadataRegionFetcher()
    _ask_directly(fetcher)
    found: str | None = fetcher.retrieve_region()
    return found if found and _REGION.fullmatch(found) else None


def _metadata_url() -> str:
    """Where the metadata service is: where AWS's variables say, else where there is a way to."""
    variable = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
    if given := os.environ.get(variable):
        return given
    mode = os.environ.get(f"{variable}_MODE", "").lower()
    by_ipv6 = source_for(_METADATA) is None and source_for(_METADATA_IPV6) is not None
    if mode == "ipv6" or (by_ipv6 and not mode):
        return f"http://[{_METADATA_IPV6}]/"
    return METADATA_BASE_URL


def _metadata_answers() -> bool:
    """Whether there is a metadata service here, which may have credentials in a moment."""
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return False
    url = urllib.parse.urlsplit(_metadata_url())
    try:
        with socket.create_connection((url.hostname or "", url.port or 80), timeout=1.0):
            return True
    except (OSError, ValueError):
        return False


def _character(odd: str) -> str:
    names = {"\n": "a newline", "\r": "a carriage return", " ": "a space", "\t": "a tab"}
    return names.get(odd, f"the character U+{ord(odd):04X}")


class _AssumedRole(CredentialProvider):
    """Credentials of another role, fetched when first used and again before they end."""

    METHOD = "assume-role"

    def __init__(self, session: boto3.Session, role: str, config: Config, name: str) -> None:
        self._name = name
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
            extra_args={"RoleSessionName": self._name},
        )
        return DeferredRefreshableCredentials(
            method=self.METHOD, refresh_using=fetcher.fetch_credentials
        )
