"""Every exception of dnssd.

    DnssdError
      UsageError            the caller's words are wrong; nothing was attempted
        MalformedName       not a DNS or DNS-SD name
        MalformedRecord     not rdata of its type
      NotFound              no such service, or no endpoint offers it
      Unavailable           the network, a provider or the time did not allow it
        DeadlineExceeded    the caller's deadline has passed
      Refused               possible, and not done, for somebody else's sake
        OwnedByAnother      the member or host record is another owner's
        AddressConflict     the host's name already has a different address
        NotShareable        records of a kind that cannot be shared are in the way
        PlaceTaken          another member has the same target and port
        HeldOut             somebody has taken the member out on purpose
        Superseded          another run for the same member has had a later word
      ZoneError             the zone's provider said no
        Conflict            the zone is not as it was when read; nothing was written
        OutcomeUnknown      the answer was lost; the change may have been made
        ChangeRejected      the provider refuses the change as such (also Refused)
        RRsetFull           the RRset has reached a limit (also Refused)
        ZoneNotFound        no such zone, or not for these credentials
        AmbiguousZone       several zones of one name
        AccessDenied        no credentials, or not allowed
          Forbidden         an explicit deny stands over all that allows (also Refused)

A message is one line, `what: why; what to do`, for people to read. Programs read the fields of
`DnssdError`.
"""

from typing import Self


class DnssdError(Exception):
    """The root of every exception that dnssd raises on purpose.

    Attributes:
        name: The domain name or member that it is about; None for none.
        server: The name server, provider or metadata service that was asked, several with commas;
            None for none.
        owner: Who owns the record that is in the way; None for none.
        truth: What is true in the zone now, in words; None where nothing was changed or asked.
    """

    def __init__(
        self,
        *message: object,
        name: str | None = None,
        server: str | None = None,
        owner: str | None = None,
        truth: str | None = None,
    ) -> None:
        super().__init__(*message)
        self.name = name
        self.server = server
        self.owner = owner
        self.truth = truth

    @property
    def fields(self) -> dict[str, str | None]:
        """What it is about: `name`, `server` and `owner`, for another error about the same."""
        return {"name": self.name, "server": self.server, "owner": self.owner}

    def about(self, *, name: str | None = None, server: str | None = None) -> Self:
        """This error, with what whoever raised it did not know."""
        self.name = name if self.name is None else self.name
        self.server = server if self.server is None else self.server
        return self

    def telling(self, truth: str) -> Self:
        """The same error that also says what is true in the zone now."""
        return type(self)(f"{self}; {truth}", **self.fields, truth=truth)


class UsageError(DnssdError):
    """The caller's words or configuration are wrong; nothing was attempted."""


class MalformedName(UsageError):
    """A text or label that is not a legal DNS or DNS-SD name."""


class MalformedRecord(UsageError):
    """A text that is not rdata of its type."""


class NotFound(DnssdError):
    """No such service, or nobody offers it."""


class Unavailable(DnssdError):
    """The network, a provider or the time did not allow it."""


class DeadlineExceeded(Unavailable):
    """The caller's deadline has passed."""


class Refused(DnssdError):
    """Possible, and not done, for somebody else's sake."""


class OwnedByAnother(Refused):
    """The member or host record belongs to another owner."""


class AddressConflict(Refused):
    """The host's name already has a different address, or is an alias."""


class NotShareable(Refused):
    """An alias, a CNAME or routed records stand where values are to be shared."""

    @classmethod
    def by_cname(cls, name: object) -> Self:
        """The refusal of a name that is an alias for another."""
        what = f"{name}: a CNAME record stands at this name, beside which nothing can stand"
        return cls(f"{what}; remove it", name=str(name))


class PlaceTaken(Refused):
    """Another member has published the same target and port."""


class HeldOut(Refused):
    """Somebody has taken the member out on purpose, and an agent obeys."""


class Superseded(Refused):
    """Another run for the same member has had a later word."""


class ZoneError(DnssdError):
    """The zone's provider said no."""


class Conflict(ZoneError):
    """The zone is not as it was when read; nothing was written."""


class OutcomeUnknown(ZoneError):
    """The answer was lost: the change may or may not have been made."""


class ChangeRejected(ZoneError, Refused):
    """The provider refuses the change as such; nothing was written."""


class RRsetFull(ZoneError, Refused):
    """The RRset has reached a limit of the provider; nothing was written."""


class ZoneNotFound(ZoneError):
    """No such zone, or none that these credentials may see."""


class AmbiguousZone(ZoneError, UsageError):
    """Several zones have that name."""


class AccessDenied(ZoneError):
    """No credentials, or they do not allow the request."""


class Forbidden(AccessDenied, Refused):
    """A rule denies the request whatever else allows it, such as an organization's."""
