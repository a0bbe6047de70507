"""What services are now, each time that has changed: the last good answer holds."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from dnssd.errors import NotFound, Unavailable
from dnssd.export.services import Service
from dnssd.resolver.client import Resolver
from dnssd.resolver.debounce import LONGEST_SECONDS, bursts
from dnssd.resolver.events import Event
from dnssd.services import ServiceName

LOST = (NotFound, Unavailable)  # what changes nothing of what is known


class Following:
    """Services that are followed.

    A service that nobody offers any more, or of which no name server tells, stays as it was.

    Args:
        resolver: Looks them up.
        asked: Which, n >= 1; the same one twice is one.
    """

    def __init__(self, resolver: Resolver, asked: Sequence[ServiceName]) -> None:
        self._resolver = resolver
        self._known = {str(each.name).lower(): Service(each) for each in asked}

    @property
    def services(self) -> list[Service]:
        """All of them; those that were never found have no servers."""
        return list(self._known.values())

    def look_up(self) -> None:
        """Look all of them up.

        Raises:
            NotFound: Nobody offers one of them, or no host of it has an address.
            Unavailable: No name server answers for it.
        """
        for key in self._known:
            self._learn(key)

    def unknown(self) -> list[str]:
        """Why it is that some were never found, one text for each."""
        return [str(error) for key in self._known if (error := self._why(key))]

    def changes(
        self, idle: float | None, longest: float = LONGEST_SECONDS
    ) -> Iterator[list[Event]]:
        """Events that came together; the services are then as they are now.

        Args:
            idle: Seconds without an event after which an empty list comes; None for never.
            longest: Seconds that events may take to come together.
        """
        names = [service.asked.name.master() for service in self.services]
        events = self._resolver.watch(*names)
        for burst in bursts(events, lambda _: None, longest=longest, idle=idle):
            for key in {event.name.lower() for event in burst}:
                with suppress(*LOST):
                    self._learn(key)
            yield burst

    def _why(self, key: str) -> NotFound | Unavailable | None:
        if self._known[key].servers:
            return None
        try:
            self._learn(key)
        except LOST as error:
            return error
        return None

    def _learn(self, key: str) -> None:
        asked = self._known[key].asked
        snapshot = self._resolver.lookup(asked.name.master())
        service = Service.of(asked, snapshot.endpoints)
        if not service.servers:
            raise NotFound(
                f"{asked.name}: none of its hosts has an address; add A or AAAA records for them",
                name=str(asked.name),
            )
        self._known[key] = service
