"""What scripts/demo shows: hosts that join all at once, load balancing, and failover.

Runs the `dnssd` command as anybody would, inside `dnssd sandbox`; looks at the records with
boto3 and calls real servers through `dnssd.http`; and stops if a step did not do what it says.
"""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import boto3
import requests

from demoserver import PATIENCE, Host, serving
from dnssd import Resolver
from dnssd.http import Adapter
from screen import DNSSD, bar, check, dnssd, heading, quietly, say, show, show_command

if TYPE_CHECKING:
    from mypy_boto3_route53.type_defs import ResourceRecordSetTypeDef

DOMAIN = "example.test."
WEB = f"web._http._tcp.{DOMAIN}"
MANY = 20  # hosts that boot at once


def main() -> None:
    """Show all steps, or stop at the first that fails."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `scripts/demo | head` ends quietly
    for number in (signal.SIGINT, signal.SIGTERM):  # ends the processes that run, too
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    url = os.environ.get("AWS_ENDPOINT_URL_ROUTE_53", "")
    check(url.startswith("http://127.0.0.1:"), "no sandbox around it; run scripts/demo")
    started = time.monotonic()
    say(
        "Everything here runs on this machine: the sandbox plays Route 53 and its name server. "
        "No AWS account is asked."
    )
    many_hosts_boot_at_once()
    with ExitStack() as servers:
        hosts = (
            servers.enter_context(serving("web-1", priority=0, weight=75)),
            servers.enter_context(serving("web-2", priority=0, weight=25)),
            servers.enter_context(serving("web-3", priority=10, weight=100)),
        )
        three_servers_join(hosts)
        picks_spread(hosts)
        servers_are_killed(hosts)
        the_dead_have_gone(hosts)
        a_dead_host_is_removed()
    what_next(time.monotonic() - started)


def many_hosts_boot_at_once() -> None:
    """The usual script beside `dnssd join`."""
    heading(f"1. {MANY} hosts boot at once")
    say(
        "The usual boot script reads the list of hosts, adds its own, and writes the list back "
        f"(UPSERT). {MANY} hosts do this at once: all have read before the first one writes."
    )
    usual_scripts(f"script._http._tcp.{DOMAIN}")
    print()
    left = len(values(f"script._http._tcp.{DOMAIN}", "SRV"))
    bar("the usual script: in DNS", left, MANY)
    check(left < MANY / 2, "the usual script lost no hosts")
    say(f"The hosts have overwritten each other. Now the same {MANY} hosts with dnssd:")
    joins("app")
    found = len(quietly("lookup", "app._http._tcp", "--all").splitlines())
    bar("dnssd join: in DNS", found, MANY)
    check(found == MANY, "dnssd join lost hosts")
    say("dnssd replaces a record only if nobody has changed it since it was read.")


def usual_scripts(name: str) -> None:
    """Read, merge, UPSERT, by all hosts at once."""
    route53 = boto3.client("route53")
    zone = route53.list_hosted_zones()["HostedZones"][0]["Id"]
    all_have_read = threading.Barrier(MANY)

    def run(number: int) -> None:
        srv = [*values(name, "SRV"), f"0 100 8080 host-{number}.{DOMAIN}"]
        all_have_read.wait(PATIENCE)
        rrset: ResourceRecordSetTypeDef = {
            "Name": name,
            "Type": "SRV",
            "TTL": 60,
            "ResourceRecords": [{"Value": value} for value in srv],
        }
        route53.change_resource_record_sets(
            HostedZoneId=zone,
            ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": rrset}]},
        )

    with ThreadPoolExecutor(MANY) as pool:
        list(pool.map(run, range(1, MANY + 1)))


def joins(instance: str) -> None:
    """`dnssd join`, by all hosts at once: a process each."""
    place = ["join", "http", "--instance", instance, "--port", "8080", "--host"]
    show_command([*place, "host-1", "--address", "10.0.0.1"])
    processes = [
        subprocess.Popen(
            [*DNSSD, *place, f"host-{number}", "--address", f"10.0.0.{number}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(1, MANY + 1)
    ]
    try:
        said = [process.communicate(timeout=10 * PATIENCE)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    failed = [words for words, process in zip(said, processes, strict=True) if process.returncode]
    check(not failed, f"a join failed: {''.join(failed[:1]).strip()}")
    show(said[0])
    print(f"... and {MANY - 1} more processes at the same time\n")


def three_servers_join(hosts: Sequence[Host]) -> None:
    """Two that are preferred, with weights, and one that stands by."""
    heading("2. Three servers join the instance web of the service http")
    say(
        "These are real web servers. `dnssd run` starts each of them, and joins once it answers. "
        "web-1 and web-2 share the traffic, 75 to 25. web-3 is the standby: its priority number "
        "is higher, so clients use it only if the others fail."
    )
    for host in hosts:
        show_command([*host.command, "./server"])
    print()
    gives_up_at = time.monotonic() + PATIENCE
    wanted = {f"{host.priority} {host.weight} {host.port} {host.name}.{DOMAIN}" for host in hosts}
    while not wanted <= set(values(WEB, "SRV")):
        check(time.monotonic() < gives_up_at, "not every server is in the zone")
        time.sleep(0.1)
    for host in hosts:
        show(host.said("joined"))
    say("A client asks DNS for the service:")
    rows = dnssd("lookup", "web._http._tcp").splitlines()[1:]
    check(len(rows) == len(hosts), "not every server was found")


def picks_spread(hosts: Sequence[Host]) -> None:
    """Load balancing."""
    heading("3. A client picks a server 1,000 times")
    with Resolver([os.environ["DNSSD_NAMESERVER"]]) as resolver:
        targets = (resolver.pick(WEB).target for _ in range(1_000))
        counted = Counter(target.partition(".")[0] for target in targets)
    print()
    for host in hosts:
        bar(
            f"{host.name}  priority {host.priority:>2}  weight {host.weight:>3}",
            counted[host.name],
            1_000,
        )
    check(650 < counted["web-1"] < 850, "web-1 did not get about 75 % of the picks")
    check(counted["web-3"] == 0, "web-3 was picked although better servers are up")


def servers_are_killed(hosts: Sequence[Host]) -> None:
    """Failover, while a client goes on."""
    heading("4. kill -9, while a client goes on calling")
    say(
        "The client gets http+dnssd://web._http._tcp.example.test/ again and again. Each digit is "
        "one call: the number of the server that answered it."
    )
    print()
    with Resolver([os.environ["DNSSD_NAMESERVER"]]) as resolver, calls(resolver) as answered:
        before = strip("", answered, 40)
        check({"1", "2"} >= set(before) >= {"1"}, "a call did not go to web-1 or web-2")
        for number, host in enumerate(hosts[:2], 1):
            os.kill(host.server, signal.SIGKILL)
            rest = strip(f"kill -9 {host.name}", answered, 40)
            check(set(rest[5:]) == {str(number + 1)}, f"web-{number + 1} did not take over")
    say("No call failed. The client went on to web-2, and then to the standby.")


def the_dead_have_gone(hosts: Sequence[Host]) -> None:
    """What `dnssd run` does when its server has died."""
    heading("5. The dead servers have left DNS")
    say("`dnssd run` saw its server die, left, and ended with the server's exit code:")
    print()
    for host in hosts[:2]:
        show(host.said("left"))
        check(host.process.wait(PATIENCE) == 128 + signal.SIGKILL, f"{host.name} has not ended")
    found = dnssd("lookup", "web._http._tcp", "--all").split()
    check(found == [f"127.0.0.1:{hosts[2].port}"], "web-3 is not the only server left")


def a_dead_host_is_removed() -> None:
    """Where nothing is left that could leave, somebody else takes the host out."""
    heading("6. A host dies that cannot leave")
    say("web-4 has joined, and its power fails. Its record stays until somebody takes it out:")
    web_4 = ("--instance", "web", "--host", "web-4")
    dnssd("join", "http", *web_4, "--port", "8080", "--address", "10.0.0.4")
    check(len(values(WEB, "SRV")) == 2, "web-4 is not in the zone")
    dnssd("leave", "http", *web_4, "--force")
    check(len(values(WEB, "SRV")) == 1, "web-4 is still in the zone")
    say("`dnssd reap` finds such hosts, where EC2 or a lease tells that they are dead.")


def what_next(seconds: float) -> None:
    """The command to try next."""
    heading(f"Done, in {seconds:.0f} seconds. Try it yourself:")
    print(
        textwrap.dedent("""
        .venv/bin/dnssd sandbox -- sh       # a shell with a Route 53 of its own; in it:
        dnssd join http --instance web --port 8080
        dnssd lookup web._http._tcp

        README.md tells how to do the same in a hosted zone of your own.""")
    )


@contextmanager
def calls(resolver: Resolver) -> Iterator[list[str]]:
    """A client that goes on calling; gives the digits of the servers that have answered."""
    answered: list[str] = []
    stopped = threading.Event()

    def call() -> None:
        with requests.Session() as session:
            session.trust_env = False  # no proxy
            session.mount("http+dnssd://", Adapter(resolver))
            while not stopped.wait(0.01):
                try:
                    answer = session.get("http+dnssd://web._http._tcp.example.test/", timeout=3)
                except requests.RequestException:
                    answered.append("x")
                else:
                    answered.append(answer.text[-1])

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield answered
    finally:
        stopped.set()
        thread.join()


def strip(label: str, answered: Sequence[str], number: int) -> str:
    """Wait for so many more calls, and show who answered them."""
    begin, gives_up_at = len(answered), time.monotonic() + PATIENCE
    while len(answered) < begin + number:
        check(time.monotonic() < gives_up_at, "the client's calls are not answered")
        time.sleep(0.01)
    shown = "".join(answered[begin : begin + number])
    print(f"  {label:<16}{shown}", flush=True)
    check("x" not in shown, "a call failed")
    return shown


def values(name: str, rdtype: str) -> tuple[str, ...]:
    """The values of one name and type, as a stock client of Route 53 lists them."""
    route53 = boto3.client("route53")
    (zone,) = route53.list_hosted_zones()["HostedZones"]
    listed = route53.list_resource_record_sets(HostedZoneId=zone["Id"])
    return tuple(
        record["Value"]
        for rrset in listed["ResourceRecordSets"]
        if (rrset["Name"], rrset["Type"]) == (name, rdtype)
        for record in rrset["ResourceRecords"]
    )


if __name__ == "__main__":
    main()
