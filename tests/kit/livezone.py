"""The sandbox's zone behind a name server that can be silent; what changes is seen in a second."""

from collections.abc import Sequence
from random import Random

from dnssd.sandbox.api.rrsets import Action, Edit, HostedRRset
from dnssd.sandbox.dns.answers import respond
from dnssd.sandbox.dns.server import DnsServer
from dnssd.sandbox.sandbox import Sandbox
from dnssd.zones.route53.text import read_name

SERVICE = "_http._tcp.example.test."
WEB = f"web.{SERVICE}"
SOA = "ns.example.test. hostmaster.example.test. 1 2 3 4 1"  # absences hold for a second


class Zone:
    """The sandbox's zone behind a name server that may be silent; TTLs are a second, or `ttl`."""

    def __init__(self, sandbox: Sandbox, ttl: int = 1) -> None:
        self.silent = False
        self._ttl = ttl
        self._sandbox = sandbox
        rng = Random(1)

        def reply(message: bytes, stream: bool) -> Sequence[bytes]:
            if self.silent:
                return ()
            return respond(message, sandbox.zones.zones(), rng, stream=stream)

        self.server = DnsServer(reply)
        self.put("example.test.", "SOA", SOA)

    def put(self, name: str, rdtype: str, *values: str) -> None:
        """Write one RRset, values as Route 53 writes them."""
        entry = HostedRRset(read_name(name), rdtype, self._ttl, values)
        self._sandbox.zones.change(self._sandbox.zone_id, [Edit(Action.UPSERT, entry)])

    def offer(self, *hosts: str, name: str = WEB, weight: int = 1) -> None:
        """Have hosts offer an instance, and have addresses."""
        for host in hosts:
            self.put(f"{host}.example.test.", "A", "10.0.0.1")
        self.put(name, "SRV", *(f"0 {weight} 80 {host}.example.test." for host in hosts))
        self.put(SERVICE, "PTR", name)
