"""What a host lives through, from boot to shutdown; `scripts/boot-test NAME` runs one of them.

Each is a function that takes a stage and returns what there is to remark, and ends with `Wrong`
where the host does something else.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace

from bootcloud import HOST, INSTANCE, NAME, PATIENCE, Cloud, dnssd, expect, metadata_service, until
from boothost import Host
from bootroot import Root

HERE = {f"{HOST}:8080"}
MEMBER = f"{INSTANCE}-8080"
UP = [(MEMBER, "up", True)]
WEB = """
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'touch /var/log/dnssd.log; sleep 2; cp /var/log/dnssd.log /var/lib/at-start'
ExecStop=/bin/cp /var/log/dnssd.log /var/lib/at-stop
[Install]
WantedBy=multi-user.target
"""
DOWN_WITHIN = 30.0  # seconds that a host may take to stop, whatever does not answer


@dataclass(frozen=True, slots=True)
class Stage:
    """A host that has never booted, and what is around it."""

    host: Host
    cloud: Cloud
    base: Root  # what hosts boot from

    @property
    def wheel(self) -> str:
        """What user-data installs."""
        return self.base.wheel

    def give(self, *options: str, at_once: bool = True) -> None:
        """Give the host user-data with these options; `at_once` without the usual splay."""
        splay = ("--splay", "0") if at_once else ()
        zone = ("--zone", self.cloud.zone, "--install", self.wheel)
        web = ("http", "--port", "8080", "--instance", "web")
        made = dnssd("user-data", *web, *zone, *splay, *options)
        expect(made.returncode == 0, f"dnssd user-data failed: {made.stderr}")
        self.host.put("var/lib/user-data", made.stdout)

    def sees(self, endpoints: set[str], within: float = PATIENCE) -> float:
        """Wait until clients find these; how many seconds that took."""
        return until(
            lambda: self.cloud.endpoints() == endpoints,
            f"clients do not find {endpoints or 'nothing'}",
            within,
        )

    def joins(self, within: float = PATIENCE) -> float:
        """Wait until it is in DNS and its unit has started; how many seconds the former took."""
        took = self.sees(HERE, within)
        until(lambda: self.host.unit("ActiveState") == "active", "the unit does not start")
        return took

    def outcomes(self) -> list[str]:
        """What the host's log has of joins and leaves that were done, in a word or two each."""
        done = ("joined", "had joined", "left")
        return [word for line in self.host.log() for word in done if line.startswith(word)]

    def is_gone(self) -> None:
        """See that nothing of the host has stayed in the zone, now that it is down."""
        expect(self.cloud.endpoints() == set(), "clients still find the host")
        expect(self.cloud.status()["members"] == [], "its member record is still there")

    def stayed(self) -> None:
        """See that the host is still in the zone, and that `status` tells of it."""
        expect(self.cloud.endpoints() == HERE, "its record is gone")
        expect(self.cloud.members() == UP, f"status tells of {self.cloud.members()}, not {UP}")


def first_boot(stage: Stage) -> str:
    """It installs dnssd from a wheel and joins, all under a least-privilege policy."""
    host = stage.host
    shutil.rmtree(host.root / "opt/dnssd")
    stage.give("--txt", "motto=$(reboot) %n 'é\"", at_once=False)
    host.boot()
    took = stage.joins(within=180)
    host.is_sound()
    found = dnssd("lookup", NAME, "--nameserver", "10.213.0.1", "--json")
    expect("$(reboot) %n 'é\\\"" in found.stdout, f"its TXT data is not as given: {found.stdout}")
    refused = dnssd(
        "join",
        "ftp",
        "--port=21",
        "--host=i-0",
        "--address=192.0.2.1",
        f"--zone={stage.cloud.zone}",
    )
    denied = stage.cloud.requests()["by_action"]["ChangeResourceRecordSets"].get("AccessDenied")
    expect(refused.returncode == denied == 1, f"the policy does not stop a host: {refused.stderr}")
    host.power_off()
    stage.is_gone()
    return f"in DNS {took:.1f} s after power-on, 3 s of splay at most among them"


def poweroff(stage: Stage) -> str:
    """It joins during the boot, and leaves before the network goes."""
    stage.give()
    stage.host.boot()
    booted = stage.joins()
    took = stage.host.power_off()
    stage.is_gone()
    said = [line.partition(" (")[0] for line in stage.host.log()]
    for line in (f"joined {NAME}. as {MEMBER}", f"left {NAME}.: {MEMBER}"):
        expect(line in said, f"its log lacks '{line}'")
    return f"in DNS {booted:.1f} s after power-on, down within {took:.1f} s"


def poweroff_during_join(stage: Stage) -> str:
    """It is published and its join has not ended yet: it leaves."""
    stage.give("--wait", "--nameserver", HOST)  # where there is no name server: it waits on
    stage.host.boot()
    stage.sees(HERE)
    took = stage.host.power_off(DOWN_WITHIN)
    stage.is_gone()
    return f"down within {took:.1f} s"


def beside_a_service(stage: Stage) -> str:
    """It joins once the service that it offers is up, and leaves before that stops."""
    stage.give()
    stage.host.put("etc/systemd/system/web.service", WEB)
    stage.host.enable("web.service")
    stage.host.boot()
    stage.joins()
    stage.host.power_off()
    stage.is_gone()
    seen = [(stage.host.root / "var/lib" / name).read_text() for name in ("at-start", "at-stop")]
    expect(seen[0] == "", f"before the service has started the log has {seen[0]}")
    expect(f"left {NAME}" in seen[1], f"before the service stops the log has {seen[1]}")
    return ""


def second_run(stage: Stage) -> str:
    """The same user-data again changes nothing; with another port it leaves by the old one."""
    stage.give()
    stage.host.boot()
    stage.joins()
    run = stage.host.unit("InvocationID")
    until(stage.host.has_booted, "the boot does not end")
    stage.host.run("sh", "/var/lib/user-data")
    expect(stage.host.unit("InvocationID") == run, "the unit has been started again")
    stage.give("--port", "8081")
    stage.host.run("sh", "/var/lib/user-data")
    stage.sees({f"{HOST}:8081"})
    until(lambda: len(stage.cloud.members()) == 1, "its old member is still there")
    stage.host.power_off()
    stage.is_gone()
    return ""


def reboot(stage: Stage) -> str:
    """It leaves, and joins again without user-data being run again."""
    stage.give()
    stage.host.boot()
    stage.joins()
    stage.host.reboot()
    stage.is_gone()
    took = stage.joins()
    stage.host.power_off()
    stage.is_gone()
    expect(stage.outcomes() == ["joined", "left"] * 2, f"its log has {stage.outcomes()}")
    return f"in DNS {took:.1f} s after the restart"


def stop_and_start(stage: Stage) -> str:
    """It comes back with another public address, and clients find that one."""
    stage.give("--address", "public")
    stage.host.boot()
    stage.sees({"192.0.2.7:8080"})
    stage.host.power_off()
    stage.is_gone()
    stage.cloud.metadata.stop()
    stage = replace(stage, cloud=replace(stage.cloud, metadata=metadata_service("192.0.2.8")))
    stage.cloud.metadata.start()
    try:
        stage.host.boot()
        stage.sees({"192.0.2.8:8080"})
        stage.host.power_off()
    finally:
        stage.cloud.metadata.stop()
    stage.is_gone()
    return ""


def killed(stage: Stage) -> str:
    """The plug is pulled: its record stays and status shows it; the next boot makes it good."""
    stage.give()
    stage.host.boot()
    stage.joins()
    stage.host.kill()
    stage.stayed()
    stage.host.boot()
    until(lambda: stage.outcomes() == ["joined", "had joined"], "it does not join again")
    stage.stayed()
    told = stage.cloud.status()
    expect(told["doubled"] == told["unexplained"] == [], f"status tells of {told}")
    stage.host.power_off()
    stage.is_gone()
    return ""


def api_down_at_boot(stage: Stage) -> str:
    """The host boots without Route 53, and joins when it comes back."""
    stage.give("--deadline", "3")
    stage.cloud.registry.stop()
    stage.host.boot()
    until(stage.host.has_booted, "the boot waits for Route 53")
    until(lambda: stage.host.unit("NRestarts") == "1", "a failed join is not tried again")
    stage.cloud.registry.start()
    took = stage.joins()
    stage.host.power_off()
    stage.is_gone()
    return f"in DNS {took:.1f} s after the API is back"


def network_late(stage: Stage) -> str:
    """The network is said to be there and is not; the host joins once it is."""
    stage.give("--deadline", "3")
    stage.host.plug("down")
    stage.host.boot()
    until(stage.host.has_booted, "the boot waits for the network")
    until(lambda: stage.host.unit("NRestarts") == "1", "a failed join is not tried again")
    stage.host.plug("up")
    took = stage.joins()
    stage.host.power_off()
    stage.is_gone()
    return f"in DNS {took:.1f} s after the network is there"


def metadata_hangs(stage: Stage) -> str:
    """The metadata does not answer: the boot goes on, and a host leaves as who it was."""
    stage.give()
    stage.cloud.metadata.hang()
    stage.host.boot()
    until(stage.host.has_booted, "the boot waits for the metadata")
    expect(stage.cloud.endpoints() == set(), "it has joined without knowing who it is")
    stage.cloud.metadata.go_on()
    took = stage.joins()
    stage.cloud.metadata.hang()
    down = stage.host.power_off(DOWN_WITHIN)
    expect(stage.cloud.endpoints() == set(), "it has not left")
    said = stage.host.log()[-1]
    expect(said.startswith("left "), f"the last word of its log is {said}")
    return f"in DNS {took:.1f} s after the metadata is back, down within {down:.1f} s"


def api_refuses_at_shutdown(stage: Stage) -> str:
    """Route 53 cannot be reached: the host goes down, its record stays and its log says so."""
    return _down_without(stage, stage.cloud.registry.stop, stage.cloud.registry.start)


def api_hangs_at_shutdown(stage: Stage) -> str:
    """Route 53 takes connections and does not answer: likewise."""
    return _down_without(stage, stage.cloud.registry.hang, stage.cloud.registry.go_on)


def renewed(stage: Stage) -> str:
    """A lease is renewed by a timer, lost records come back with it; and the zone moves."""
    stage.give("--lease", "60")
    stage.host.boot()
    stage.joins()
    lost = dnssd("uninstall-records", "http", "--zone", stage.cloud.zone, "--yes", "--limit", "1")
    expect(lost.returncode == 0, f"the records do not go: {lost.stderr}")
    took = stage.sees(HERE)
    moved = f"route53:{stage.cloud.zone}"  # the same one, by another address
    given = (stage.host.root / "etc/default/dnssd").read_text()
    stage.host.put("etc/default/dnssd", f"{given}DNSSD_ZONE={moved}\n")
    stage.host.run("systemctl", "restart", "dnssd-join.service")
    said = stage.host.log()[-1]
    expect(said.startswith("joined") and f"to {moved})" in said, f"it says {said}")
    stage.host.power_off()
    stage.is_gone()
    return f"back after {took:.1f} s"


def uninstalled(stage: Stage) -> str:
    """The reverse: it leaves, nothing stays on the host, and the next boot joins nothing."""
    stage.give()
    stage.host.boot()
    stage.joins()
    until(stage.host.has_booted, "the boot does not end")
    stage.give("--uninstall")
    stage.host.run("sh", "/var/lib/user-data")
    stage.is_gone()
    stage.host.has_nothing_of_it()
    stage.host.reboot()
    stage.host.is_sound()
    stage.host.power_off()
    stage.is_gone()
    return ""


def uninstalled_at_boot(stage: Stage) -> str:
    """The plug is pulled, and the reverse is the user-data of the next boot."""
    stage.give()
    stage.host.boot()
    stage.joins()
    stage.host.kill()
    stage.give("--uninstall")
    (stage.host.root / "var/lib/user-data.ran").unlink()
    stage.host.boot()
    until(stage.host.has_booted, "the boot does not end")
    stage.is_gone()
    stage.host.has_nothing_of_it()
    stage.host.power_off()
    return ""


def _down_without(stage: Stage, goes: Callable[[], None], comes_back: Callable[[], None]) -> str:
    stage.give()
    stage.host.boot()
    stage.joins()
    goes()
    took = stage.host.power_off(DOWN_WITHIN)
    comes_back()
    stage.stayed()
    said = stage.host.log()[-1]
    expect(said.startswith("dnssd: "), f"the last word of its log is {said}")
    return f"down within {took:.1f} s"


STORIES: dict[str, Callable[[Stage], str]] = {
    story.__name__.replace("_", "-"): story
    for story in (
        first_boot,
        poweroff,
        poweroff_during_join,
        beside_a_service,
        second_run,
        reboot,
        stop_and_start,
        killed,
        api_down_at_boot,
        network_late,
        metadata_hangs,
        api_refuses_at_shutdown,
        api_hangs_at_shutdown,
        renewed,
        uninstalled,
        uninstalled_at_boot,
    )
}
