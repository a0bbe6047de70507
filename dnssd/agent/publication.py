"""One service or plain address in one zone: what is wished, was written, and DNS shows of it."""

import asyncio
import contextlib
import logging
from typing import Any

from dnssd.agent import own
from dnssd.agent.around import Around
from dnssd.agent.identity import Identity
from dnssd.agent.own import Published
from dnssd.agent.service import Offer
from dnssd.agent.wishes import DRAINED, OUT, Wish, pause_after
from dnssd.errors import DnssdError, Refused, Unavailable, UsageError

JOIN_DEADLINE, LEAVE_DEADLINE = 60.0, 20.0  # seconds for one attempt
LOOKING = 60.0  # seconds between looks at whether there is a lease

_log = logging.getLogger("dnssd.agent")


class Publication:
    """Makes one zone hold what is wished, and sees that it stays so.

    Args:
        service: What.
        zone: Where, an address.
        identity: Who this host is.
        lock: Held while it writes: services of a host share a record in the zone.
        around: What it acts by.

    Attributes:
        done: What was last written; None while that is not known.
        trouble: Why the last write failed; empty if it did not.
        held: Whether somebody has taken the member out on purpose.
    """

    joining, leaving = "join", "leave"  # what the writer is asked for

    def __init__(
        self,
        service: Offer,
        zone: str,
        identity: Identity,
        lock: asyncio.Lock,
        around: Around,
    ) -> None:
        self.service = service
        self.zone = zone
        self.done: Wish | None = None
        self.trouble = ""
        self.held = False
        self.published: Published | None = None
        self.members = 1  # of the instance, as DNS last told
        self.counts = {"joins": 0, "leaves": 0, "failures": 0, "lost": 0}
        self._identity = identity
        self._lock = lock
        self._around = around
        self._wish: Wish | None = None
        self._changed = asyncio.Event()
        self._unsure = False  # whether a write failed after `done`: it may have changed something
        self._settling = own.SETTLING
        self._named = False  # whether its plain name was seen to
        self._in_the_way: str | None = None  # of it
        self._by_hand = False  # whether somebody has joined it again, who had taken it out

    def wish(self, wish: Wish | None) -> None:
        """Want this from now on; None for whatever there is."""
        if wish != self._wish:
            self._wish = wish
            self._changed.set()

    def become(self, service: Offer) -> None:
        """Look after this from now on; what is in DNS of the former follows."""
        changed = service.registration() != self.service.registration()
        self.service = service
        if changed:
            self.again()

    def again(self) -> None:
        """Write it once more: it is lost, or this host has changed."""
        self.done, self._named = None, False
        self._changed.set()

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to be written."""
        return self._wish is None or (self._wish == self.done and not self._unsure)

    async def run(self) -> None:
        """Write what is wished, whenever that changes, until cancelled."""
        beside = [asyncio.create_task(self._watch()), asyncio.create_task(self._renew())]
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._settle()
        finally:
            for task in beside:
                task.cancel()

    async def leave(self, deadline: float) -> None:
        """Take the member out, once.

        Raises:
            DnssdError: It did not go out.
        """
        if (self.done != OUT or self._unsure) and not self.held:
            await self._write(OUT, deadline)

    async def part(self, deadline: float) -> None:
        """Leave the member where it is; from now on no agent answers for it.

        Raises:
            DnssdError: Its record still says so.
        """
        if self.done and self.done.published and not self.held:
            async with self._lock:
                await self._around.writer.ask("part", deadline, **await self._about())

    async def drain(self, deadline: float) -> None:
        """Stand behind all others, and return once clients know.

        Where it is not known whether the last join was made, the member may be in DNS.

        Raises:
            DnssdError: It could not be told.
        """
        if self.held or (self.done == OUT and not self._unsure):
            return
        await self._write(DRAINED, deadline, wait=True)
        assert self.published  # noqa: S101 (it has just been)
        await asyncio.sleep(self.published.ttl)

    async def _settle(self) -> None:
        failures = 0
        while (wish := self._wish) is not None and not self.is_settled:
            deadline = JOIN_DEADLINE if wish.published else LEAVE_DEADLINE
            try:
                await self._write(wish, deadline)
            except DnssdError as error:
                failures += 1
                self._unsure = True
                self._failed(error)
                refused = isinstance(error, (Refused, UsageError))
                await self._pause(pause_after(failures, refused, self._around.draw()))

    async def _pause(self, seconds: float) -> None:
        """Wait, at most until something else is wished."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
                self._changed.clear()

    async def _write(self, wish: Wish, deadline: float, *, wait: bool = False) -> None:
        about = await self._about()
        async with self._lock:
            if wish.published:
                result = await self._join(wish, deadline, about, wait)
                self._joined(wish, result)
            else:
                result = await self._around.writer.ask(self.leaving, deadline, **about)
                self._left(result)
        if result.get("held"):
            self._wish = None
            self._hold(True)
        else:
            self.done, self._unsure = wish, False
            self._by_hand = False
        self.trouble = ""

    async def _about(self) -> dict[str, Any]:
        facts = await self._identity.facts()
        return {"zone": self.zone, "facts": facts, "registration": self.service.registration()}

    async def _join(
        self, wish: Wish, deadline: float, about: dict[str, Any], wait: bool
    ) -> dict[str, Any]:
        how = {"weight": wish.weight, "drained": wish.drained, "wait": wait}
        how["by_hand"] = self._by_hand
        how["plain_name"] = not self._named
        splay = 0.0 if self.published else self.service.splay
        return await self._around.writer.ask(self.joining, deadline, splay=splay, **how, **about)

    def _joined(self, wish: Wish, result: dict[str, Any]) -> None:
        self.counts["joins"] += result["changed"]
        self.published = Published.of(result)
        self._settling = (
            own.SETTLING if result["changed"] else min(own.MAX_SETTLING, 2 * self._settling)
        )
        if result["held"]:
            return
        if plain := result.get("plain_name"):
            self._name_is_told(*plain)
        told = "joined" if result["changed"] else "had joined already:"
        if wish.drained:
            told = "drained:"
        self._tell(f"{told} {result['name']} as {result['member']}", result)

    def _name_is_told(self, state: str, why: str | None) -> None:
        self._named = True
        if why is not None and why != self._in_the_way:  # once, however often it is tried
            _log.warning("%s in %s: plain name %s: %s", self.service.name, self.zone, state, why)
        self._in_the_way = why

    def _left(self, result: dict[str, Any]) -> None:
        self.published = None
        self._settling = own.SETTLING
        self.counts["leaves"] += result["changed"]
        if result["members"]:
            self._tell(f"left {result['name']}: {', '.join(result['members'])}", result)

    def _tell(self, what: str, result: dict[str, Any]) -> None:
        requests = result["requests"]
        _log.info(
            "%s (%d request%s to %s)", what, requests, "s" if requests != 1 else "", self.zone
        )

    def _failed(self, error: DnssdError) -> None:
        self.counts["failures"] += 1
        said = str(error)
        if said != self.trouble:  # once, however often it is tried
            _log.warning("%s in %s: %s; it is tried again", self.service.name, self.zone, said)
        self.trouble = said

    async def _watch(self) -> None:
        """Read the own records by DNS, once a TTL; join again what is lost."""
        missing, since = 0, self.published
        while True:
            published = self.published
            if published is None or published is not since:
                missing, since = 0, published
                await asyncio.sleep(self._settling if published else 1.0)
                continue
            seen = await self._seen(published)
            missing = missing + 1 if seen == "gone" else 0
            if seen in ("held", "there"):  # what is held may be removed, and stays out
                await self._heed(seen == "held", published)
            if missing >= own.LOOKS and self.is_settled and not self.held:
                missing, since = 0, None
                self.counts["lost"] += 1
                _log.warning(
                    "%s: its records are gone, and nobody here has left; joining again",
                    published.record,
                )
                self.again()
            await asyncio.sleep(max(10.0, published.ttl) * (0.9 + self._around.draw() / 5))

    async def _seen(self, published: Published) -> str:
        try:
            answer = await self._around.look(self.service.nameservers, published)
        except (Unavailable, OSError):
            return "unknown"
        self.members = max(1, len(answer.values))
        return own.sight(answer, published)

    async def _renew(self) -> None:
        """Join again whenever a third of the lease is over."""
        while True:
            lease = self.service.lease
            await asyncio.sleep(lease / 3 * (1 + self._around.draw() / 10) if lease else LOOKING)
            lasts = self.service.lease and self.done and self.done.published
            if lasts and self.is_settled and not self.held:
                self.again()

    async def _heed(self, held: bool, published: Published) -> None:
        """Note what DNS shows of somebody's wish; a restart is not to forget it."""
        if held and not self.held:
            with contextlib.suppress(DnssdError):
                about = {"name": str(published.name), "port": published.port}
                await self._around.writer.ask("hold", LEAVE_DEADLINE, **about)
        if self.held and not held:
            self.done, self._by_hand = None, True
        self._hold(held)

    def _hold(self, held: bool) -> None:
        if held and not self.held:
            _log.warning(
                "%s: somebody has taken it out on purpose; it stays out until `dnssd join` runs "
                "on this host",
                self.published and self.published.record,
            )
        if self.held and not held:
            _log.info("%s: joined again by hand", self.published and self.published.record)
        self.held = held
