"""Services as tests export them, and what is to come of it."""

from pathlib import Path

from dnssd.export.services import Service
from dnssd.resolver.snapshot import Endpoint
from dnssd.services import parse_service_name

_FOLDER = Path(__file__).parents[1] / "vectors" / "export"
GOLDEN = {
    "haproxy": _FOLDER / "haproxy.cfg",
    "nginx": _FOLDER / "nginx.conf",
    "envoy-eds": _FOLDER / "envoy-eds.json",
    "traefik": _FOLDER / "traefik.yml",
    "prometheus": _FOLDER / "prometheus.json",
}
# As a target or an instance, as the resolver shows it.
HOSTILE = 'evil" weight=1;}\n# %{x} $(reboot) `reboot` \x1b\x00\\' + "evil" * 16_000

_HOST = "{}.example.com.".format
SERVICES = [
    Service.of(
        parse_service_name("web._http._tcp.example.com"),
        [
            Endpoint(_HOST("a"), 8080, 0, 100, ("10.0.0.5",), "web"),
            Endpoint(_HOST("b"), 8080, 0, 50, ("2001:db8::6",), "web"),
            Endpoint(_HOST("c"), 80, 5, 0, ("10.0.0.7", "10.0.0.8"), "web"),
            Endpoint(_HOST("d"), 80, 9, 1, ("10.0.0.9",), "web"),
            Endpoint(_HOST("no-address"), 80, 0, 1, (), "web"),
        ],
    ),
    Service.of(
        parse_service_name("Mein Büro._postgresql._tcp.example.com"),
        [
            Endpoint(_HOST('"\n}$(x)'), 5432, 0, 1000, ("10.0.0.5",), "Mein Büro"),
            Endpoint(_HOST("f"), 5432, 0, 1, ("10.0.0.6",), "Mein Büro"),
        ],
    ),
]
