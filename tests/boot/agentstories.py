"""What a host with an agent lives through, from boot to shutdown."""

from bootcloud import HOST, dnssd, expect, until
from stories import DOWN_WITHIN, HERE, Stage

UNIT = "dnssd-agent.service"
SERVER = """
[Service]
ExecStart=/usr/bin/python3 -m http.server 8080
Restart=no
[Install]
WantedBy=multi-user.target
"""
QUICK = ("--interval", "1", "--timeout", "0.5")


def agent_through_a_life(stage: Stage) -> str:
    """In DNS while its service is up; neither a crash nor a restart of the agent shows."""
    host = stage.host
    _give(stage)
    host.boot()
    took = stage.sees(HERE)
    until(host.has_booted, "the boot does not end")
    host.run("systemctl", "stop", "web.service")
    gone = stage.sees(set())
    host.run("systemctl", "start", "web.service")
    stage.sees(HERE)
    since = _since(stage)
    host.run("systemctl", "kill", "--signal=KILL", UNIT)
    until(lambda: _state(stage, "NRestarts") == "1", "the agent is not started again")
    until(lambda: _state(stage, "ActiveState") == "active", "it is not ready")
    host.run("systemctl", "restart", UNIT)
    host.run("systemctl", "reload", UNIT)
    until(lambda: _state(stage, "StatusText") == "1 passing", "its status is not told")
    stage.sees(HERE)
    expect(_since(stage) == since, "a crash or a restart has touched the record")
    down = host.power_off()
    stage.is_gone()
    return (
        f"in DNS {took:.1f} s after power-on, gone {gone:.1f} s after its service, "
        f"down within {down:.1f} s"
    )


def agent_without_api(stage: Stage) -> str:
    """It joins when Route 53 is there, and a host without it goes down all the same."""
    _give(stage)
    stage.cloud.registry.stop()
    stage.host.boot()
    until(stage.host.has_booted, "the boot waits for Route 53")
    until(lambda: _state(stage, "ActiveState") == "active", "the agent is not ready")
    stage.cloud.registry.start()
    took = stage.sees(HERE, within=150)
    stage.cloud.registry.stop()
    down = stage.host.power_off(2 * DOWN_WITHIN)
    stage.cloud.registry.start()
    stage.stayed()
    return f"in DNS {took:.1f} s after the API is back, down within {down:.1f} s without it"


def agent_uninstalled(stage: Stage) -> str:
    """The reverse: it leaves, and nothing stays on the host."""
    _give(stage)
    stage.host.boot()
    stage.sees(HERE)
    until(stage.host.has_booted, "the boot does not end")
    _give(stage, "--uninstall")
    stage.host.run("sh", "/var/lib/user-data")
    stage.is_gone()
    stage.host.has_nothing_of_it()
    stage.host.power_off()
    return ""


def _give(stage: Stage, *options: str) -> None:
    """User-data with an agent, and a service to look after."""
    web = ("http", "--port", "8080", "--instance", "web", "--check", f"tcp://{HOST}:8080")
    place = ("--zone", stage.cloud.zone, "--install", stage.wheel, "--splay", "0")
    made = dnssd("user-data", "--agent", *web, *place, *QUICK, *options)
    expect(made.returncode == 0, f"dnssd user-data failed: {made.stderr}")
    stage.host.put("var/lib/user-data", made.stdout)
    stage.host.put("etc/systemd/system/web.service", SERVER)
    stage.host.enable("web.service")


def _state(stage: Stage, setting: str) -> str:
    return stage.host.run("systemctl", "show", "--value", "--property", setting, UNIT).strip()


def _since(stage: Stage) -> list[str]:
    return [member["since"] for member in stage.cloud.status()["members"]]
