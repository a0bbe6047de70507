"""The agent's file: what it says, and where it is wrong."""

import pytest

from dnssd.agent.config import parse
from dnssd.agent.service import PlainAddress, Service, Settings
from dnssd.errors import UsageError

WHOLE = """
zone = "example.com,id=Z0123456789ABC"
interval = 10
metrics = 9464
leave_on_exit = "shutdown"
complete_hook = "leave"

[[service]]
service = "http"
instance = "web"
port = 8080
check = ["http:///health", "unless-file:/run/maintenance"]
rise = 1
drain = 60
txt = { version = "1" }

[[service]]
service = "_redis._tcp"
port = 6379
zone = ["example.com", "example.net"]
interval = 5
timeout = 0.5
load = "cpu"
haproxy_agent = 9000

[[join_address]]
name = "www.example.com"
port = 443
timeout = 1
"""


def parsed(text: str, **environ: str) -> Settings:
    """What a file says."""
    return parse(text, "agent.toml", environ)


def test_keys_are_the_options_and_those_at_the_top_are_for_all() -> None:
    """A service's own key wins; what nobody says is the option's default."""
    settings = parsed(WHOLE)
    web, redis, www = settings.services
    assert isinstance(web, Service)
    assert isinstance(redis, Service)
    assert isinstance(www, PlainAddress)
    assert (settings.metrics, settings.leave_on_exit) == (9464, "shutdown")
    assert settings.complete_hook == "leave"
    assert web.zones == ("example.com,id=Z0123456789ABC",)
    assert redis.zones == ("example.com", "example.net")
    assert (web.interval, redis.interval) == (10, 5)
    assert (web.rules.rise, web.rules.fall, redis.rules.rise) == (1, 3, 2)
    assert [check.kind for check in web.checks] == ["http", "unless-file"]
    assert [check.url for check in redis.checks] == ["tcp://"]
    assert dict(web.txt or ()) == {"version": "1"}
    assert (redis.load, redis.haproxy_agent, redis.instance) == ("cpu", 9000, "default")
    assert (www.plain_name, www.zones, www.interval) == ("www.example.com", web.zones, 10)
    assert [check.url for check in www.checks] == ["tcp://"]


def test_the_environment_says_what_the_file_does_not() -> None:
    """The variables that every command reads."""
    text = '[[service]]\nservice = "http"\nport = 80\n'
    (service,) = parsed(
        text, DNSSD_ZONE="a.example b.example", DNSSD_NAMESERVER="10.0.0.2", DNSSD_INSTANCE="web"
    ).services
    assert isinstance(service, Service)
    assert service.zones == ("a.example", "b.example")
    assert (service.nameservers, service.instance) == (("10.0.0.2",), "web")


@pytest.mark.parametrize(
    ("old", "new", "where", "why"),
    [
        ("port = 8080", "port 8080", ":11: ", "expected '=' after"),
        ("port = 8080", "port = 80800", ":11: service[1].port: ", "1 to 65535 is allowed"),
        ("port = 8080", 'port = "http"', ":11: service[1].port: ", "a whole number is needed"),
        ("port = 8080", "port = true", ":11: service[1].port: ", "a whole number is needed"),
        ("port = 6379", "prot = 6379", ":19: service[2].prot: ", "do you mean port?"),
        ("port = 6379", "", ":17: service[2]: ", "it has no port"),
        ("interval = 10", "intervall = 10", ":3: intervall: ", "do you mean interval?"),
        ("metrics = 9464", "metrics = 0", ":4: metrics: ", "1 to 65535"),
        ('"shutdown"', '"sometimes"', ":5: leave_on_exit: ", "always, shutdown or never"),
        ("rise = 1", "check = 1", ":13: ", "cannot overwrite a value"),
        ('"http:///health"', '"htp:///health"', ":12: service[1].check: ", "a check begins with"),
        ('"http"', '"a.b"', ":8: service[1]: ", "service 'a.b'"),
        ("timeout = 0.5", "timeout = 50", ":17: service[2]: ", "timeout 50"),
        ("drain = 60", "drain = [60]", ":14: service[1].drain: ", "a number is needed"),
        ('load = "cpu"', 'load = "gpu"', ":17: service[2]: ", "load 'gpu'"),
        ('[[service]]\nservice = "_r', '[service2]\nservice = "_r', ": service2: ", "not known"),
        ("port = 443", "prot = 443", ":28: join_address[1].prot: ", "do you mean port?"),
        ("port = 443", 'check = "http:///"', ":26: join_address[1]: ", "which port?"),
        ('"www.', '"_www.', ":26: join_address[1]: ", "not a name of hosts"),
        ('name = "www.example.com"', "", ":26: join_address[1]: ", "it has no name"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_key(
    old: str, new: str, where: str, why: str
) -> None:
    """One line that leads to the place, and says what would be right."""
    assert old in WHOLE
    with pytest.raises(UsageError) as caught:
        parsed(WHOLE.replace(old, new, 1))
    message = str(caught.value)
    assert message.startswith("agent.toml")
    assert where in message
    assert why in message
    assert "\n" not in message


def test_two_of_one_service_are_told() -> None:
    """Neither could tell whose the record is; nor can a port answer for two."""
    service = '[[service]]\nservice = "http"\nport = 80\nzone = "example.com"\n'
    with pytest.raises(UsageError, match=r":5: service\[2\]: the same service"):
        parsed(service * 2)
    with pytest.raises(UsageError, match=r"the same haproxy_agent"):
        parsed(f"{service}haproxy_agent = 9\n{service}instance = 'b'\nhaproxy_agent = 9")


@pytest.mark.parametrize("text", ["", "zone = 'example.com'", "service = 3", "service = [3]"])
def test_a_file_without_services_is_told(text: str) -> None:
    """An agent with nothing to do is a mistake."""
    with pytest.raises(UsageError, match=r"^agent\.toml:"):
        parsed(text)
