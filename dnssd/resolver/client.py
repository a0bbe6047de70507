"""The resolver: asks name servers, joins what they say, and chooses."""

import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from dnssd.errors import MalformedName, NotFound, Unavailable, UsageError
from dnssd.names import Name, display
from dnssd.records import Ptr, RRset, Srv
from dnssd.resolver.balance import order, pick
from dnssd.resolver.nameservers import (
    ROUNDS,
    Exchange,
    NameServer,
    NameServers,
    exchange,
    system_nameservers,
)
from dnssd.resolver.snapshot import (
    MAX_ENDPOINTS,
    MAX_INSTANCES,
    Endpoint,
    Snapshot,
    build_snapshot,
    instance_names,
    instance_text,
)
from dnssd.services import Service, ServiceName, parse_service_name

AT_ONCE = 32  # questions under way at a time, of one look-up

_log = logging.getLogger(__name__)
_Question = tuple[Name, str]
_Reply = tuple[RRset | None, tuple[RRset, ...]]


class Resolver:
    """Finds the endpoints of services in DNS, and chooses among them by SRV priority and weight.

    May be used from several threads. Every look-up asks anew.

    Args:
        nameservers: `HOST[:PORT]` or `[IPV6]:PORT` each, asked in turn; by default those of
            /etc/resolv.conf. A host name among them is looked up here, once.
        timeout: Seconds that one call may take, all its questions and retries together.
        rng: Gives a random number in [0, 1).
        monotonic: The clock, in seconds.
        exchange: Sends one question to one server.

    Raises:
        UsageError: Not a name server, or none is given and the system has none.
        Unavailable: The address of a name server is not known.
    """

    def __init__(
        self,
        nameservers: Sequence[str] | None = None,
        *,
        timeout: float = 2.0,
        rng: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
        exchange: Exchange = exchange,
    ) -> None:
        if nameservers:
            servers = tuple(NameServer.parse(text) for text in nameservers)
        else:
            servers = system_nameservers()
        self._timeout = timeout
        self._rng = rng
        self._monotonic = monotonic
        patience = timeout / max(ROUNDS, len(servers) + 1)  # enough to ask every one
        self._servers = NameServers(
            servers, patience=patience, monotonic=monotonic, exchange=exchange
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free what it holds: nothing, since every call frees its own sockets and threads."""

    def lookup(self, name: str) -> Snapshot:
        """Everything there is to know about a service or an instance now.

        Args:
            name: `[INSTANCE.]SERVICE.DOMAIN`, such as `v1._theService._tcp.example.com`.

        Raises:
            NotFound: It does not exist, or nobody offers it.
            Unavailable: No name server has answered in time.
            UsageError: Not the name of a service or an instance.
        """
        asked = parse_service_name(name)
        answers = self._gather(asked, self._monotonic() + self._timeout)
        return build_snapshot(asked, answers, self._monotonic())

    def pick(self, name: str) -> Endpoint:
        """One endpoint of the best priority, drawn by weight; raises as `lookup` does.

        An endpoint whose target has no address is passed over while another has one.
        """
        return pick(self.lookup(name).reachable, self._rng)

    def order(self, name: str) -> tuple[Endpoint, ...]:
        """Every endpoint in the order in which to try them; raises as `lookup` does.

        Those whose target has no address come last.
        """
        tried = order(self.lookup(name).endpoints, self._rng)
        return tuple(sorted(tried, key=lambda endpoint: not endpoint.addresses))

    def browse(self, service: str, domain: str | None = None) -> tuple[str, ...]:
        """The instances of a service, offered or not, in the order of their names.

        Args:
            service: `_http._tcp`, or `http`; `_http._tcp.example.com` needs no domain.
            domain: Where to look.

        Raises:
            NotFound: The service does not exist there.
            Unavailable: No name server has answered in time.
            UsageError: Not a service.
        """
        asked = parse_service_name(service, None if domain is None else Name.parse(domain))
        if asked.instance is not None:
            raise UsageError(f"{asked.name}: an instance; browse a service, or look it up")
        pointers = self._pointers(asked.name)
        if pointers is None:
            raise NotFound(f"{asked.name}: no such service; check the name and the domain")
        return tuple(instance_text(name) for name in instance_names(asked, pointers))

    def services(self, domain: str) -> tuple[str, ...]:
        """The service types of a domain (RFC 6763 section 9), in order.

        Raises:
            NotFound: The domain lists none.
            Unavailable: No name server has answered in time.
            UsageError: Not a domain.
        """
        where = Name.parse(domain)
        pointers = self._pointers(Service("any").enumeration_in(where))
        if pointers is None:
            raise NotFound(f"{where}: it lists no services; check the domain")
        found = (_service_type(value) for value in pointers.values)
        return tuple(sorted({str(service) for service in found if service}))

    def _pointers(self, name: Name) -> RRset | None:
        rrset, _ = self._servers.ask(name, "PTR", self._monotonic() + self._timeout)
        return rrset

    def _gather(self, asked: ServiceName, deadline: float) -> list[RRset]:
        """PTR, then SRV and TXT of every instance, then the addresses not yet known."""
        browse = asked.service.in_domain(asked.domain)
        answers: list[RRset] = []
        if asked.instance is None:
            answers += self._must([(asked.name, "PTR")], deadline)[0]
        names = instance_names(asked, answers[0] if answers else None)
        if len(names) == MAX_INSTANCES:
            _log.warning("%s: only %d instances are looked at", asked.name, MAX_INSTANCES)
        found, additional = self._must(
            [(name, rdtype) for name in names for rdtype in ("SRV", "TXT")], deadline
        )
        if asked.instance is not None and not found:  # is it at least defined?
            found, _ = self._must([(browse, "PTR")], deadline)
        return answers + found + self._addresses(found, additional, deadline)

    def _addresses(
        self, found: Iterable[RRset], additional: Iterable[RRset], deadline: float
    ) -> list[RRset]:
        """The addresses of all SRV targets; that some cannot be had is no failure."""
        srvs = (value for rrset in found for value in rrset.values if isinstance(value, Srv))
        targets = list({srv.target: None for srv in srvs if srv.target.labels})[:MAX_ENDPOINTS]
        known = {(rrset.name, rrset.rdtype): rrset for rrset in additional}
        missing = [
            target
            for target in targets
            if (target, "A") not in known and (target, "AAAA") not in known
        ]
        replies = self._ask_all(
            [(target, rdtype) for target in missing for rdtype in ("A", "AAAA")], deadline
        )
        failures = [reply for reply in replies if isinstance(reply, Unavailable)]
        asked = [reply[0] for reply in replies if not isinstance(reply, Unavailable) and reply[0]]
        came = [rrset for rrset in known.values() if rrset.name in set(targets)]
        if failures and not asked and not came:
            raise failures[0]
        for failure in failures:
            _log.warning("%s", failure)
        return came + asked

    def _must(
        self, questions: Sequence[_Question], deadline: float
    ) -> tuple[list[RRset], list[RRset]]:
        """The RRsets there are, and the additional ones; every question must be answered."""
        found: list[RRset] = []
        additional: list[RRset] = []
        for reply in self._ask_all(questions, deadline):
            if isinstance(reply, Unavailable):
                raise reply
            rrset, more = reply
            found += [rrset] if rrset else []
            additional += more
        return found, additional

    def _ask_all(
        self, questions: Sequence[_Question], deadline: float
    ) -> list[_Reply | Unavailable]:
        """Ask questions side by side; the replies, or why there are none, in their order."""

        def ask(question: _Question) -> _Reply | Unavailable:
            try:
                rrset, answer = self._servers.ask(*question, deadline)
            except Unavailable as error:
                return error
            return rrset, answer.additional

        if len(questions) < 2:
            return [ask(question) for question in questions]
        with ThreadPoolExecutor(min(AT_ONCE, len(questions)), "dnssd-lookup") as pool:
            return list(pool.map(ask, questions))


def _service_type(value: object) -> Service | None:
    """The service type that an enumeration points to; None if it is no such thing."""
    if not isinstance(value, Ptr) or len(value.target.labels) < 2:
        return None
    try:
        return Service.parse(".".join(map(display, value.target.labels[:2])))
    except MalformedName:
        return None
