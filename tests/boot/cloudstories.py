"""Hosts of two clouds behind one name, in a zone of neither: at Cloudflare."""

from bootcloud import GATEWAY, INSTANCE, METADATA, dnssd, expect, until
from boothost import Host
from bootroot import PIP
from stories import Stage

from kit.cloudflare import Cloudflare

NAME = "www.example.net"
EC2, TRITON = "192.0.2.7", "11.0.0.9"  # public addresses, as their metadata tell them
UUID = "0aa6b8ab-0c7a-4e66-9d8c-7f3f6b6d2a11"
MDATA_GET = f"""#!/bin/sh
case $1 in
    sdc:uuid) echo {UUID} ;;
    sdc:datacenter_name) echo us-east-1 ;;
    sdc:nics) echo '[{{"ip": "10.213.1.2", "primary": true}}, {{"ip": "{TRITON}"}}]' ;;
    *) exit 1 ;;
esac
"""


def two_clouds(stage: Stage) -> str:
    """One on EC2, one on Triton, which offers a service, too: one stops, the other stays."""
    folder = stage.host.root.parent / "triton"
    folder.mkdir()
    triton = Host(stage.base.path, folder, subnet=1)
    triton.put("usr/sbin/mdata-get", MDATA_GET)
    (triton.root / "usr/sbin/mdata-get").chmod(0o755)
    with Cloudflare(serve=["example.net"], host=GATEWAY) as double:
        place = {"CLOUDFLARE_API_BASE_URL": double.url, **PIP}
        stage.host.lead({"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{METADATA}", **place})
        triton.lead(place)
        _give(stage, stage.host, double)
        _give(stage, triton, double, "http", "--port", "8080", "--cloud", "triton")
        stage.host.boot()
        triton.boot()
        took = _behind(double, {EC2, TRITON})
        until(lambda: f"{UUID}-8080" in _members(double), "its service has not joined")
        triton.power_off()
        expect(_addresses(double) == {EC2}, f"{NAME} has {_addresses(double)}")
        expect(_members(double) == {INSTANCE}, f"members: {_members(double)}")
        for host in (stage.host, triton):
            token = host.root / "etc/dnssd/secrets/token"
            expect(token.stat().st_mode & 0o777 == 0o600, "others can read its token")
        stage.host.power_off()
        expect(_addresses(double) == _members(double) == set(), f"left: {double.records()}")
    return f"both behind {NAME} {took:.1f} s after power-on"


def _give(stage: Stage, host: Host, double: Cloudflare, *options: str) -> None:
    """User-data for the name, with the token in it."""
    token = host.root.parent / "token"
    token.write_text(double.token)
    path = "token_file=/etc/dnssd/secrets/token"
    zone = ("--zone", f"cloudflare:example.net,id={double.zone_id},{path}", "--secret", str(token))
    place = (*zone, "--install", stage.base.wheel, "--splay", "0")
    made = dnssd("user-data", *options, "--join-address", NAME, *place)
    expect(made.returncode == 0, f"dnssd user-data failed: {made.stderr}")
    host.put("var/lib/user-data", made.stdout)


def _behind(double: Cloudflare, addresses: set[str]) -> float:
    return until(lambda: _addresses(double) == addresses, f"{addresses} are not behind {NAME}")


def _addresses(double: Cloudflare) -> set[str]:
    return {one.content for one in double.records() if (one.name, one.type) == (NAME, "A")}


def _members(double: Cloudflare) -> set[str]:
    """The labels of the member records, of the name and of the service."""
    parents = ("www._dnssd.example.net", "default._http._tcp.example.net")
    names = {one.name.partition(".")[::2] for one in double.records() if one.type == "TXT"}
    return {label for label, parent in names if parent in parents}
