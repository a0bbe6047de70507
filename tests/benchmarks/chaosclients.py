"""Clients that look services up: dnssd, and others that are asked to find the same.

Each asks for PTR, then for SRV and TXT, then for the addresses that did not come along. All
look up with nothing in their caches.
"""

import asyncio
import importlib
import importlib.util
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import dns.exception
import dns.nameserver
import dns.resolver
from chaoszone import Endpoint, Found, Service, difference

from dnssd import Resolver, Snapshot

_TRIES = 5  # of one question, by a client at its best
_LIMIT = 10.0  # seconds of one look-up by a client that sets itself none
_BUDGET = 2.0  # seconds of one look-up by dnssd, at its defaults
_LISTED = 16  # times that dnspython at its best has the server: an error strikes one of them off


class Client(Protocol):
    """Finds services."""

    def find(self, name: str) -> Found:
        """Look up a service without a cache; raises whatever it does where it cannot."""

    def close(self) -> None:
        """Free what it holds."""


class Result(NamedTuple):
    """What came of one look-up.

    Attributes:
        seconds: That it took.
        wrong: What is wrong with it; empty if nothing is.
    """

    seconds: float
    wrong: str


class Dnssd:
    """dnssd at its defaults.

    A look-up that says that it goes on without somebody's addresses is made again until they
    are there, for as long as a look-up takes at most; all of that time counts.
    """

    def __init__(self, host: str, port: int) -> None:
        self._resolver = Resolver([f"{host}:{port}"])

    def find(self, name: str) -> Found:
        """Look up a service without a cache."""
        self._resolver.clear()
        ends = time.perf_counter() + _BUDGET
        snapshot = self._resolver.lookup(name)
        if any(not what.endswith(" TXT") for what in snapshot.missing):
            while not _is_whole(snapshot) and time.perf_counter() < ends:
                time.sleep(0.005)  # a snapshot is looked at: nothing else tells of news
                snapshot = self._resolver.lookup(name)
        return found_in(snapshot)

    def close(self) -> None:
        """Free what it holds."""
        self._resolver.close()


class Dnspython:
    """dnspython, question after question.

    Args:
        host: The server's address.
        port: The server's port.
        best: With short timeouts, many attempts and many tries in place of its defaults.
    """

    def __init__(self, host: str, port: int, *, best: bool = False) -> None:
        self._resolver = dns.resolver.Resolver(configure=False)
        listed = _LISTED if best else 1
        self._resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port)] * listed
        self._tries = _TRIES if best else 1
        if best:
            self._resolver.timeout, self._resolver.lifetime = 0.05, 2.0
            self._resolver.retry_servfail = True

    def find(self, name: str) -> Found:
        """Look up a service without a cache."""
        (pointer,) = self._ask(name, "PTR")
        instance = pointer.target.to_text()
        srvs, txts = self._ask(instance, "SRV"), self._ask(instance, "TXT")
        known: dict[str, list[str]] = {}
        for rrset in srvs.response.additional:
            addresses = (rdata.address for rdata in rrset if hasattr(rdata, "address"))
            known.setdefault(rrset.name.to_text(), []).extend(addresses)
        return self._found(srvs, txts, known)

    def close(self) -> None:
        """Free what it holds: nothing."""

    def _found(self, srvs: Any, txts: Any, known: Mapping[str, Sequence[str]]) -> Found:
        endpoints = set()
        for srv in srvs:
            target = srv.target.to_text()
            addresses = known.get(target) or self._addresses(target)
            endpoint = (target, srv.port, srv.priority, srv.weight, frozenset(addresses))
            endpoints.add(Endpoint(*endpoint))
        return Found(frozenset(endpoints), b"".join(txts[0].strings))

    def _addresses(self, target: str) -> Iterable[str]:
        answers = (self._ask(target, rdtype, must=False) for rdtype in ("A", "AAAA"))
        return [rdata.address for answer in answers for rdata in answer.rrset or ()]

    def _ask(self, name: str, rdtype: str, *, must: bool = True) -> Any:
        for _ in range(self._tries - 1):
            try:
                return self._resolver.resolve(name, rdtype, raise_on_no_answer=must)
            except dns.exception.DNSException:
                continue
        return self._resolver.resolve(name, rdtype, raise_on_no_answer=must)


class Aiodns:
    """aiodns (c-ares), with the questions of each stage in parallel.

    Args:
        host: The server's address.
        port: The server's port.
        best: With short timeouts, many attempts and many tries in place of its defaults.
    """

    def __init__(self, host: str, port: int, *, best: bool = False) -> None:
        self._server = f"{host}:{port}"
        self._tries = _TRIES if best else 1
        # c-ares doubles the timeout with each attempt: more of them only take longer.
        self._options = {"timeout": 0.05, "tries": _TRIES} if best else {}
        self._runner = asyncio.Runner()
        self._aiodns = importlib.import_module("aiodns")  # nobody needs it for anything else

    def find(self, name: str) -> Found:
        """Look up a service without a cache: in a channel of its own, since c-ares has one."""
        return self._runner.run(asyncio.wait_for(self._find(name), _LIMIT))

    def close(self) -> None:
        """Free what it holds."""
        self._runner.close()

    async def _find(self, name: str) -> Found:
        resolver = self._aiodns.DNSResolver([self._server], **self._options)
        try:
            (pointer,) = (await self._ask(resolver, name, "PTR")).answer
            instance = pointer.data.dname
            asked = (self._ask(resolver, instance, rdtype) for rdtype in ("SRV", "TXT"))
            srvs, txts = await asyncio.gather(*asked)
            known: dict[str, set[str]] = {}
            for record in srvs.additional:
                if hasattr(record.data, "addr"):
                    known.setdefault(_absolute(record.name), set()).add(record.data.addr)
            found = (self._endpoint(resolver, record.data, known) for record in srvs.answer)
            endpoints = await asyncio.gather(*found)
            return Found(frozenset(endpoints), txts.answer[0].data.data)
        finally:
            await resolver.close()

    async def _endpoint(self, resolver: Any, srv: Any, known: Mapping[str, set[str]]) -> Endpoint:
        target = _absolute(srv.target)
        addresses = known.get(target)
        if not addresses:
            asked = (self._addresses(resolver, target, rdtype) for rdtype in ("A", "AAAA"))
            addresses = set().union(*await asyncio.gather(*asked))
        return Endpoint(target, srv.port, srv.priority, srv.weight, frozenset(addresses))

    async def _addresses(self, resolver: Any, target: str, rdtype: str) -> set[str]:
        try:
            answer = (await self._ask(resolver, target, rdtype)).answer
        except self._aiodns.error.DNSError as error:
            if error.args[0] == self._aiodns.error.ARES_ENODATA:
                return set()
            raise
        return {record.data.addr for record in answer}

    async def _ask(self, resolver: Any, name: str, rdtype: str) -> Any:
        for _ in range(self._tries - 1):
            try:
                return await resolver.query_dns(name, rdtype)
            except self._aiodns.error.DNSError:
                continue
        return await resolver.query_dns(name, rdtype)


CLIENTS: dict[str, Callable[[str, int], Client]] = {
    "dnssd": Dnssd,
    "dnspython, defaults": Dnspython,
    "dnspython, at its best": lambda host, port: Dnspython(host, port, best=True),
}
if importlib.util.find_spec("aiodns"):
    CLIENTS["aiodns, defaults"] = Aiodns
    CLIENTS["aiodns, at its best"] = lambda host, port: Aiodns(host, port, best=True)


def _is_whole(snapshot: Snapshot) -> bool:
    """Whether nothing is missing, nor the addresses of a family that others have."""
    families = [{":" in address for address in e.addresses} for e in snapshot.endpoints]
    return not snapshot.missing and all(one == set().union(*families) for one in families)


def found_in(snapshot: Snapshot) -> Found:
    """What a snapshot holds."""
    endpoints = frozenset(
        Endpoint(e.target, e.port, e.priority, e.weight, frozenset(e.addresses))
        for e in snapshot.endpoints
    )
    txt = b"".join(string for instance in snapshot.instances for string in instance.data.strings)
    if any(what.endswith(" TXT") for what in snapshot.missing):
        return Found(endpoints, txt or None)
    return Found(endpoints, txt)


def look_up(client: str, server: str, services: Sequence[Service], prepare: str) -> list[Result]:
    """Look services up one after the other.

    Args:
        client: Its name in `CLIENTS`.
        server: `IPV4:PORT` to ask.
        services: What to look up.
        prepare: A server that is asked once before, so that everything is loaded.
    """
    _ = _look_up(client, prepare, services[:1])
    return _look_up(client, server, services)


def _look_up(client: str, server: str, services: Sequence[Service]) -> list[Result]:
    host, _, port = server.rpartition(":")
    asking = CLIENTS[client](host, int(port))
    try:
        return [_judged(asking, service) for service in services]
    finally:
        asking.close()


def _judged(client: Client, service: Service) -> Result:
    begin = time.perf_counter()
    try:
        found = client.find(service.name)
    except Exception as error:  # every library has its own
        return Result(time.perf_counter() - begin, f"{type(error).__name__}: {error}")
    seconds = time.perf_counter() - begin
    wrong = difference(found, service.truth)
    return Result(seconds, wrong and f"{service.name}: {wrong}")


def _absolute(name: str) -> str:
    return name.removesuffix(".") + "."
