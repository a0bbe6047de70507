"""Services as URLs for requests: `http+dnssd://web._http._tcp.example.com/path`.

    session = requests.Session()
    session.mount("http+dnssd://", Adapter(resolver))
    session.mount("https+dnssd://", Adapter(resolver))
    session.get("http+dnssd://v1._theService._tcp.example.com/path", timeout=3)

The host of the URL is a name as everywhere in dnssd, percent-encoded where it holds more than
letters, digits, dots, hyphens and underscores: `quote(name, safe="")`. It has no port, since
DNS gives that. A server is called by its own name: the target of its SRV record stands in the
Host header, and the certificate must be for it, because servers and those who certify them
know the names of hosts, not of services. Connections are made to the target's addresses as the
resolver has them; proxies are not used, and one that is asked for is refused.
"""

from dnssd.http.adapter import Adapter
from dnssd.http.calls import Chooser

__all__ = ["Adapter", "Chooser"]
