"""A plain address in one zone. It has no weight and no place behind others: it is there or not."""

import asyncio
from dataclasses import replace

from dnssd.agent.publication import Publication
from dnssd.agent.wishes import OUT, Wish


class AddressPublication(Publication):
    """Makes a name in one zone hold this host's address while that is wished.

    Nobody holds it out on purpose as services are: what `leave-address --force` took out comes
    back while its agent runs.
    """

    joining, leaving = "join-address", "leave-address"

    def wish(self, wish: Wish | None) -> None:
        """Want this from now on; None for whatever there is."""
        super().wish(wish and replace(wish, weight=0, drained=False))

    async def drain(self, deadline: float) -> None:
        """Go, and return once clients know: they are still served meanwhile.

        Raises:
            DnssdError: It did not go out.
        """
        if (published := self.published) and self.done != OUT:
            await self._write(OUT, deadline)
            await asyncio.sleep(published.ttl)

    async def part(self, deadline: float) -> None:
        """Leave the address where it is: its record knows of no agent."""
