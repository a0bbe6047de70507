"""What scripts/demo shows: hosts join a service, are found, fail over and leave.

Runs the `dnssd` command as anybody would, inside `dnssd sandbox`; looks at the records with
boto3 and at the service with `dnssd.Resolver`; and stops if a step did not do what it says.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import boto3

from dnssd import Resolver

DOMAIN = "example.test."
SERVICE = f"_http._tcp.{DOMAIN}"
INSTANCE = f"web.{SERVICE}"
PORT = 8080
COLUMNS = shutil.get_terminal_size().columns
WIDTH = min(COLUMNS, 100)


@dataclass(frozen=True, slots=True)
class Host:
    """A host of the demonstration."""

    name: str
    address: str
    priority: int
    weight: int

    @property
    def srv(self) -> str:
        """The value that it publishes."""
        return f"{self.priority} {self.weight} {PORT} {self.name}.{DOMAIN}"


@dataclass(frozen=True, slots=True)
class Records:
    """All records of one name and type, as Route 53's API lists them."""

    name: str
    ttl: int
    rdtype: str
    values: tuple[str, ...]


HOSTS = (
    Host("web-1", "10.0.0.11", priority=0, weight=75),
    Host("web-2", "10.0.0.12", priority=0, weight=25),
    Host("web-3", "10.0.0.13", priority=10, weight=100),
)


def main() -> None:
    """Show all steps, or stop at the first that fails."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `scripts/demo | head` ends quietly
    for number in (signal.SIGINT, signal.SIGTERM):  # ends the command that runs, too
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    started = time.monotonic()
    demonstrate()
    heading(f"Done, in {time.monotonic() - started:.0f} seconds and on this machine alone")
    say(
        "No AWS account was asked and no credentials are needed. README.md tells how to do the "
        "same in a hosted zone of your own."
    )


def demonstrate() -> None:
    """The story, step by step."""
    url = os.environ.get("AWS_ENDPOINT_URL_ROUTE_53", "")
    check(url.startswith("http://127.0.0.1:"), "no sandbox around it; run scripts/demo")
    three_hosts_join()
    the_zone_holds_them()
    a_client_finds_them()
    picks_spread()
    the_preferred_hosts_go()
    the_last_host_goes()


def three_hosts_join() -> None:
    """Two that are preferred, with weights, and one that stands by."""
    heading("1. Three hosts join the instance web of the service http")
    say(
        "Route 53 and its name server are a sandbox on this machine. web-1 and web-2 share the "
        "traffic, 75 to 25; web-3 stands by, since a higher number is a lower priority."
    )
    join(HOSTS[0], "--weight", "75", "--txt", "version=1")
    join(HOSTS[1], "--weight", "25")
    join(HOSTS[2], "--priority", "10")


def the_zone_holds_them() -> None:
    """The members as dnssd tells of them, and the records behind that."""
    heading("2. What the zone holds now")
    rows = table(dnssd("status", "http", "--instance", "web"), skip=2)
    published = [[f"{host.name}-{PORT}", "up", "yes"] for host in HOSTS]
    check([row[:3] for row in rows] == published, "not every host is up and published")
    show_records()


def a_client_finds_them() -> None:
    """A look-up, by DNS."""
    heading("3. A client looks the service up")
    rows = table(dnssd("lookup", "http"), skip=1)
    addresses = [host.address for host in HOSTS]
    check([row[4] for row in rows] == addresses, "not every host was found")


def picks_spread() -> None:
    """Load balancing."""
    heading("4. How 1,000 picks spread")
    say(
        "DNS is asked once, and each pick is drawn anew. Weights share out what the best "
        "priority gets."
    )
    counted = picks(1000)
    check(650 < counted["web-1"] < 850, "web-1 did not get about 75 % of the picks")
    check(counted["web-3"] == 0, "web-3 was picked although better hosts are up")


def the_preferred_hosts_go() -> None:
    """Failover, within a priority and to the next."""
    heading("5. The preferred hosts go, one after the other")
    leave(HOSTS[0])
    check(picks(100) == {"web-2": 100}, "web-2 did not take over")
    leave(HOSTS[1])
    check(picks(100) == {"web-3": 100}, "web-3 did not take over")
    say("Each time a client asked that knew nothing; one that does learns of it within the TTL.")


def the_last_host_goes() -> None:
    """Nobody offers the service, and its definition stays."""
    heading("6. The last host goes")
    leave(HOSTS[2])
    dnssd("lookup", "http", expected=3)
    say(
        "Exit code 3: nobody offers it. What remains in the zone is the definition of the "
        "service, for the next host that joins:"
    )
    show_remains()


def join(host: Host, *options: str) -> None:
    """Join one host, and see its value and address in the zone."""
    place = ["--port", str(PORT), "--host", host.name, "--address", host.address]
    dnssd("join", "http", "--instance", "web", *place, *options)
    listed = listing()
    check(host.srv in values(listed, INSTANCE, "SRV"), f"{host.name} is not published")
    name = f"{host.name}.{DOMAIN}"
    check(values(listed, name, "A") == (host.address,), f"{name} has no address")


def leave(host: Host) -> None:
    """Take one host away, and see that nothing of it stays."""
    dnssd("leave", "http", "--instance", "web", "--host", host.name)
    left = [records for records in listing() if host.name in f"{records.name} {records.values}"]
    check(not left, f"records of {host.name} are still there")


def show_records() -> None:
    """The records in two groups: what clients ask for, and what hosts keep for themselves."""
    listed = listing()
    own = {"TXT": f"{HOSTS[0].name}-{PORT}.{INSTANCE} {HOSTS[0].name}.{DOMAIN}".split()}
    say("What clients ask for:")
    for records in listed:
        if records.name in (SERVICE, INSTANCE) or records.rdtype in ("PTR", "A"):
            show(records)
    say(
        "What keeps hosts out of each other's way: each has a record that tells which value is "
        "its own, and one that tells who uses its address. Those of web-1:"
    )
    for records in listed:
        if records.name in own.get(records.rdtype, ()):
            show(records)


def show_remains() -> None:
    """The records that no host owns."""
    listed = listing()
    for records in listed:
        show(records)
    definition = [(SERVICE, "PTR"), (INSTANCE, "TXT"), (f"_services._dns-sd._udp.{DOMAIN}", "PTR")]
    check({(r.name, r.rdtype) for r in listed} == set(definition), "that is not the definition")


def dnssd(*arguments: str, expected: int = 0) -> str:
    """Show a command and what it prints; return that, if its exit code is as expected."""
    command = "dnssd " + shlex.join(arguments)
    lines = filled(re.split(" (?=--)", f"$ {command}"), WIDTH - 8).replace("\n", " \\\n      ")
    print("\n" + paint("1;36", lines), flush=True)
    completed = subprocess.run(
        [sys.executable, "-m", "dnssd", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    for line in completed.stdout.splitlines():
        print(
            line if len(line) <= COLUMNS or not sys.stdout.isatty() else f"{line[: COLUMNS - 1]}…"
        )
    code = completed.returncode
    check(code == expected, f"'{command}' ended with exit code {code}, not {expected}")
    return completed.stdout


def picks(number: int) -> Counter[str]:
    """Pick so many times, and show with bars how often each host was picked."""
    with Resolver([os.environ["DNSSD_NAMESERVER"]]) as resolver:
        targets = (resolver.pick(INSTANCE).target for _ in range(number))
        counted = Counter(target.partition(".")[0] for target in targets)
    print()
    for host in HOSTS:
        count = counted[host.name]
        rank = f"priority {host.priority:>2}  weight {host.weight:>3}"
        print(f"  {host.name}  {rank}  {'█' * round(36 * count / number):<36} {count:>5,}")
    return counted


def listing() -> tuple[Records, ...]:
    """Every record below the domain, as a stock client of Route 53 lists them."""
    route53 = boto3.client("route53")
    (zone,) = route53.list_hosted_zones()["HostedZones"]
    answer = route53.list_resource_record_sets(HostedZoneId=zone["Id"])
    return tuple(
        Records(
            rrset["Name"],
            rrset["TTL"],
            rrset["Type"],
            tuple(record["Value"] for record in rrset["ResourceRecords"]),
        )
        for rrset in answer["ResourceRecordSets"]
        if rrset["Name"] != DOMAIN
    )


def values(listed: Iterable[Records], name: str, rdtype: str) -> tuple[str, ...]:
    """The values of one name and type."""
    return next((r.values for r in listed if (r.name, r.rdtype) == (name, rdtype)), ())


def show(records: Records) -> None:
    """Print records in the form of a master file, long TXT data below its name."""
    head = f"  {records.name:<38} {records.ttl} {records.rdtype:<3} "
    for value in records.values:
        if len(head + value) <= WIDTH:
            print(head + value)
            continue
        print(head.rstrip())
        strings = value.replace('" "', '"\n"').splitlines()
        print(textwrap.indent(filled(strings, WIDTH - 6), " " * 6))


def filled(words: Iterable[str], width: int) -> str:
    """Lines of as many words as fit; a word stays whole, blanks and all."""
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".lstrip()
    return "\n".join(lines)


def table(output: str, *, skip: int) -> list[list[str]]:
    """The rows of a printed table as words, without its first lines."""
    return [line.split() for line in output.splitlines()[skip:]]


def heading(text: str) -> None:
    """A step's title."""
    print("\n" + paint("1", text) + "\n" + paint("1", "-" * len(text)))


def say(text: str) -> None:
    """A paragraph of explanation."""
    print("\n" + textwrap.fill(text, min(WIDTH, 80)))


def paint(code: str, text: str) -> str:
    """The text in a colour, on terminals that show it and for people who want it."""
    plain = (
        not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    )
    return text if plain else f"\033[{code}m{text}\033[0m"


def check(holds: bool, otherwise: str) -> None:
    """Stop the demonstration where something does not hold."""
    if not holds:
        sys.exit(f"scripts/demo: {otherwise}")


if __name__ == "__main__":
    main()
