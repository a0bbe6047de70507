"""User-data carries a caller's options to the host as they are, and runs none of them."""

import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dnssd.cli.join import command as join_command
from dnssd.cli.join_address import command as join_address_command
from dnssd.cli.leave import command as leave_command
from dnssd.cli.main import run
from dnssd.errors import UsageError
from dnssd.provisioning.systemd import command_line
from dnssd.provisioning.userdata import MAX_USER_DATA, Format, Life, joining, uninstalling
from kit import unitfile

USERDATA = Path(__file__).parents[2] / "userdata"
UNIT = "/etc/systemd/system/dnssd-join.service"
DNSSD = "/opt/dnssd/venv/bin/dnssd"
ID = "example.com,id=Z0123456789ABC"
WHEEL = f"https://example.com/dnssd-0.1.0-py3-none-any.whl#sha256={'0a' * 32}"
UNIT_ONLY = ("http", "--zone", ID, "--port", "8080")  # the unit alone installs nothing
WEB = (*UNIT_ONLY, "--install", WHEEL)
FORMATS = [Format.SHELL, Format.CLOUD_CONFIG, Format.SYSTEMD]
HOSTILE = (
    "$(touch /tmp/owned)",
    "`id`",
    "'; reboot; '",
    '"; reboot; "',
    "${LOGGED}",
    "$HOME $$ $0",
    "%n %% %H",
    "a\nEND_OF_FILE\nreboot",
    "a\n  - reboot\n",
    "a\nExecStart=/sbin/reboot",
    "\\",
    "a\\",
    "\\x41 \\n",
    ";",
    "-x",
    "#",
    " a  b ",
    "@JOIN@ @install.sh@",
    "\x85\u2028\u2029\ufeff\x7f\x1b[31m",
    "Café 😀",
    "{{ v1.region }}",
    "## template: jinja",
    "|",
    "&",
    "~",
)

words = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))


def life(**changes: Any) -> Life:
    """A host's life."""
    usual: dict[str, Any] = {
        "join": ("join", "http"),
        "leave": ("leave", "http"),
        "deadline": 120.0,
    }
    return Life(**usual | {"install": WHEEL} | changes)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command prints, where it does."""
    assert run(["user-data", *arguments]) == 0
    output, error = capsys.readouterr()
    assert error == ""
    return output


def parsed_there(command: click.Command, unit: str, line: list[str]) -> Mapping[str, Any]:
    """What a command makes of its arguments in the unit's environment, which names the zone."""
    zone = unitfile.environment(unit)["DNSSD_ZONE"]
    return parsed(command, [*line, "--zone", zone])


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which the command refuses."""
    assert run(["user-data", *arguments]) == 2
    output, error = capsys.readouterr()
    assert (output, error.count("\n")) == ("", 1)
    return error


def unit_in(form: Format, text: str) -> str:
    """The unit that user-data puts on a host; shell is run in tests/integration."""
    if form is Format.SYSTEMD:
        return text
    if form is Format.SHELL:
        (unit,) = re.findall(rf"^put {UNIT} 644 <<'(\w+)'\n(.*?)^\1$", text, re.M | re.S)
        return str(unit[1])
    files = {file["path"]: file["content"] for file in yaml.safe_load(text)["write_files"]}
    return str(files[UNIT])


def arguments(unit: str, setting: str) -> list[str]:
    """What dnssd is run with, by ExecStart and the like."""
    (value,) = unitfile.settings(unit)[setting]
    environment = unitfile.environment(unit)
    words = unitfile.command(value, environment)
    for shell in ("LOGGED", "EACH"):
        assert words[:4] == ["/bin/bash", "-c", environment[shell], "dnssd"]
        words = words[4:]
    assert f"{DNSSD} " in environment["EACH"]
    return words


def parsed(command: click.Command, line: list[str]) -> Mapping[str, Any]:
    """What a command makes of its arguments."""
    name, *rest = line
    assert name == command.name
    return command.make_context(name, rest).params


@given(words)
def test_systemd_passes_every_word_on(given_words: list[str]) -> None:
    """What is quoted reads as it was, and is one line of printable ASCII."""
    line = command_line(given_words)

    assert unitfile.command(line) == given_words
    assert line.isascii()
    assert line.isprintable()


@pytest.mark.parametrize("word", ["a\0b", "\udc80"])
def test_a_word_that_no_program_can_get_is_refused(word: str) -> None:
    """NUL ends a C string, and what is not UTF-8 systemd would not read."""
    with pytest.raises(UsageError, match=r"leave it out|write it in UTF-8"):
        command_line([word])


@pytest.mark.parametrize("form", FORMATS)
@given(join=words, leave=words)
@settings(max_examples=40)
def test_every_format_carries_every_word(form: Format, join: list[str], leave: list[str]) -> None:
    """The unit is the same in each of them, whatever the options hold."""
    text = joining(form, life(join=tuple(join), leave=tuple(leave)))

    unit = unit_in(form, text)
    assert arguments(unit, "ExecStart") == join
    assert arguments(unit, "ExecStopPost") == leave
    assert text.isascii()


@pytest.mark.parametrize("form", FORMATS)
def test_options_add_no_line(form: Format) -> None:
    """Hostile options change the two lines that they belong to, and nothing else."""
    harmless = joining(form, life()).splitlines()
    hostile = joining(form, life(join=HOSTILE, leave=HOSTILE)).splitlines()

    assert len(harmless) == len(hostile)
    changed = [new for old, new in zip(harmless, hostile, strict=True) if old != new]
    assert [line.split("=")[0].strip() for line in changed] == ["ExecStart", "ExecStopPost"]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_reaches_join_as_it_is(
    form: Format, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that the unit runs reads the very options that user-data was given."""
    options = [*UNIT_ONLY, "--txt", f"a={value}", "--txt", "b", "--weight", "7", "--takeover"]

    source = () if form is Format.SYSTEMD else ("--install", WHEEL)
    unit = unit_in(form, printed(capsys, *options, *source, "--format", str(form)))

    options_at_start = parsed_there(join_command, unit, arguments(unit, "ExecStart"))
    expected = parsed(join_command, ["join", *options])
    assert options_at_start == {**expected, "splay": 3.0}
    assert options_at_start["txt"] == (f"a={value}", "b")


def test_a_name_server_may_have_a_name_that_only_the_hosts_know(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """User-data is made elsewhere; what cannot be read anywhere is refused all the same."""

    def unknown(*_: Any, **__: Any) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    unit = printed(capsys, *UNIT_ONLY, "--nameserver", "ns.internal:53", "--format", "systemd")

    assert "--nameserver=ns.internal:53" in arguments(unit, "ExecStart")
    both = ("--nameserver", "ns.internal", "--nameserver", "ns:x")
    assert "'ns:x': not understood" in refused(capsys, *WEB, *both)


def test_every_option_of_join_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    """All but those for people; leave gets those that it has, and a short deadline."""
    options = (
        *("http", "--zone", "Z0123456789ABC", "--port", "80", "--instance", "-My Café"),
        *("--host", "web-1", "--address", "10.0.0.1", "--address", "public", "--priority", "1"),
        *("--weight", "0", "--ttl", "3", "--txt", "a=b", "--splay", "0", "--deadline", "5.5"),
        *("--wait", "--nameserver", "127.0.0.1:53", "--takeover", "--lease", "3600"),
    )

    unit = printed(capsys, *options, "--format", "systemd")

    joins = arguments(unit, "ExecStart")
    assert parsed_there(join_command, unit, joins) == parsed(join_command, ["join", *options])
    assert arguments(unit, "ExecStopPost") == [
        *("leave", "-v", "http", "--port=80", "--instance=-My Café"),
        *("--host=web-1", "--deadline=10"),
    ]
    leaves = parsed_there(leave_command, unit, arguments(unit, "ExecStopPost"))
    assert leaves["deadline"] == 10


def test_a_lease_is_renewed_at_each_third(capsys: pytest.CaptureFixture[str]) -> None:
    """By a timer that the unit starts, and that ends with it; there is none without a lease."""
    unit = printed(capsys, *UNIT_ONLY, "--lease", "3600", "--format", "systemd")

    (starts,) = unitfile.settings(unit)["ExecStartPost"]
    words = unitfile.command(starts)
    assert words[-2:] == [DNSSD, "rejoin"]
    assert {"--on-active=1200", "--on-unit-active=1200"} < set(words)
    assert words.count("--timer-property=PartOf=dnssd-join.service") == 1
    without = printed(capsys, *UNIT_ONLY, "--format", "systemd")
    assert "ExecStartPost" not in unitfile.settings(without)


@pytest.mark.parametrize("service", [(), ("http", "--port", "80", "--weight", "7")], ids=len)
def test_plain_addresses_join_and_leave_too(
    service: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Alone or beside a service, with the options that are theirs, in the zone that they are in."""
    zones = (f"--zone={ID}", "--zone=cloudflare:example.org,token_file=/t")
    names = ("--join-address=www.example.org", "--join-address=shop.example.org", "--proxied")
    options = ("--ttl=7", "--host=a", "--takeover", "--address=public", "--splay=0")

    assert run(["user-data", *service, *zones, *names, *options, "--format", "systemd"]) == 0
    unit = capsys.readouterr().out

    joins, leaves = (
        [words.split(" ") for words in " ".join(arguments(unit, setting)).split(" // ")]
        for setting in ("ExecStart", "ExecStopPost")
    )
    kinds = (["join"] if service else []) + ["join-address"] * 2
    assert [words[0] for words in joins] == kinds
    assert joins[-2] == [
        *("join-address", "-v", "www.example.org", zones[1], "--host=a", "--address=public"),
        *("--proxied", "--takeover"),
    ]
    assert joins[-1][2:4] == ["shop.example.org", zones[1]]
    assert leaves[-1] == [
        *("leave-address", "-v", "shop.example.org", zones[1], "--host=a", "--deadline=10"),
    ]
    for words in joins[-2:]:
        parsed(join_address_command, words)
    assert len(leaves) == len(joins)
    if service:
        assert {"--weight=7", "--ttl=7"} < set(joins[0])
        assert not [word for word in joins[0] if word.startswith("--zone")]
    assert unitfile.environment(unit)["DNSSD_ZONE"].split(" ") == [
        zone.removeprefix("--zone=") for zone in zones
    ]


def test_defaults_are_left_to_the_host(capsys: pytest.CaptureFixture[str]) -> None:
    """Short lines; hosts that boot by themselves part a little."""
    unit = printed(capsys, *UNIT_ONLY, "--format", "systemd")

    lines = unit.splitlines()
    own, file = (f"Environment=DNSSD_ZONE={ID}", "EnvironmentFile=-/etc/default/dnssd")
    assert lines.index(own) < lines.index(file), "systemd.exec(5): the file's go before"
    web = ["-v", "http", "--port=8080"]
    assert arguments(unit, "ExecStart") == ["join", *web, "--splay=3.0"]
    assert arguments(unit, "ExecStopPost") == ["leave", *web, "--deadline=10"]


def test_options_come_from_the_environment_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each under the command's own name, and the zone under the shared one."""
    monkeypatch.setenv("DNSSD_ZONE", "example.org,id=Z0123456789ABC")
    monkeypatch.setenv("DNSSD_USER_DATA_TXT", "a=1\nb=2")
    monkeypatch.setenv("DNSSD_USER_DATA_FORMAT", "systemd")
    monkeypatch.setenv("DNSSD_JOIN_WEIGHT", "9")

    unit = printed(capsys, "http", "--port", "80")

    assert unitfile.environment(unit)["DNSSD_ZONE"] == "example.org,id=Z0123456789ABC"
    assert arguments(unit, "ExecStart")[3:] == [
        *(
            "--port=80",
            "--txt=a=1",
            "--txt=b=2",
            "--splay=3.0",
        ),
    ]


@pytest.mark.parametrize(
    ("deadline", "timeout"), [(1, 600), (120, 600), (540.5, 601), (3600, 3660), (86400, 86460)]
)
def test_the_unit_waits_longer_than_join_takes(deadline: float, timeout: int) -> None:
    """Its own limits come after those of join and leave."""
    unit = unitfile.settings(joining(Format.SYSTEMD, life(deadline=deadline)))

    assert unit["TimeoutStartSec"] == [str(timeout)]
    assert unit["TimeoutStopSec"] == ["25"]


@pytest.mark.parametrize("form", [Format.SHELL, Format.CLOUD_CONFIG])
@pytest.mark.parametrize(
    "spec",
    [
        WHEEL,
        "/root/wheels/dnssd 1.whl",
        "https://example.com/$HOME/dnssd-0.1.0-py3-none-any.whl",
        WHEEL.replace("https:", "http:"),
        "git+https://example.com/dnssd@v1%20",
        "git+ssh://git@example.com/dnssd",
        "dnssd @ git+https://example.com/dnssd",
        "dnssd[bench] @ file:///root/dnssd-0.1.0-py3-none-any.whl",
    ],
)
def test_any_source_is_installed_from(form: Format, spec: str) -> None:
    """A wheel's path or address, or git's: one word for pip, whatever is in it."""
    unit = unit_in(form, joining(form, life(install=spec)))

    (value,) = unitfile.settings(unit)["ExecStartPre"]
    *_, script, word = unitfile.command(value, unitfile.environment(unit))
    assert (script, word) == ("/opt/dnssd/install.sh", spec)


@pytest.mark.parametrize("form", [Format.SHELL, Format.CLOUD_CONFIG])
def test_hosts_are_told_where_dnssd_comes_from(
    form: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    """No default: its name on the package index is anybody's, and hosts would run it as root."""
    error = refused(capsys, *UNIT_ONLY, "--format", str(form))

    assert error.startswith("dnssd: --install: hosts need to know where dnssd comes from; give ")
    assert f"install.sh {WHEEL}" in printed(capsys, *WEB).replace('"', "")
    assert "ExecStartPre" not in printed(capsys, *UNIT_ONLY, "--format", "systemd")
    assert printed(capsys, *UNIT_ONLY, "--uninstall") == uninstalling(Format.SHELL)


@pytest.mark.parametrize(
    "source",
    [
        *("dnssd", "dnssd==0.1.0", "DNSSD>=0.1,<2", "dnssd[bench]", "other-name==1", "dnssd "),
        *("", "--index-url=https://example.com", "-r", " x", "./a.whl", "a.whl", "dist/a", "a\nb"),
        *("/a\nb", "dnssd --index-url https://example.com", "-e git+https://example.com/dnssd"),
    ],
)
def test_what_anybody_could_put_there_is_not_installed(
    source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No name on an index, no option of pip, and no path that depends on where it runs."""
    if source:  # an empty option is not given
        assert "may be anybody's" in refused(capsys, *UNIT_ONLY, "--install", source)
    with pytest.raises(UsageError, match="may be anybody's"):
        life(install=source)


@pytest.mark.parametrize(
    "source",
    [
        "http://example.com/dnssd-0.1.0-py3-none-any.whl",
        "HTTP://example.com/dnssd-0.1.0-py3-none-any.whl#sha256=",
        "dnssd @ http://example.com/dnssd-0.1.0-py3-none-any.whl#sha256=0a",
        "git+http://example.com/dnssd",
        f"git+http://example.com/dnssd#sha256={'0a' * 32}",  # pip compares no checkout with it
        "git+git://example.com/dnssd",
        "ftp://example.com/dnssd-0.1.0-py3-none-any.whl",
    ],
)
def test_what_can_be_replaced_on_its_way_is_not_installed(
    source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An address without encryption needs a digest that pip compares."""
    assert "anyone on the way can replace it" in refused(capsys, *UNIT_ONLY, "--install", source)


@pytest.mark.parametrize("digest", ["", "…", "DIGEST", "0a", "g" * 64])
def test_a_digest_that_is_to_be_replaced_is_told(
    digest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hosts would refuse the wheel: nobody reads the log of a host that did not come up."""
    source = WHEEL.partition("=")[0] + "=" + digest

    assert run(["user-data", *UNIT_ONLY, "--install", source]) == 0

    output, error = capsys.readouterr()
    assert "#sha256=" in output
    assert error.count("\n") == 1
    assert "its digest is none" in error


@pytest.mark.parametrize("zone", ["example.com", "route53:example.com,private=yes"])
def test_a_zone_without_its_id_is_told(zone: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The policy that iam-policy prints does not let hosts look it up."""
    options = ("http", "--zone", zone, "--port", "80", "--install", WHEEL)

    assert run(["user-data", *options]) == 0

    assert capsys.readouterr().err == (
        f"dnssd: zone '{zone}': without its ID hosts look it up by its name, which "
        f"'dnssd iam-policy' does not allow; write {zone},id=Z...\n"
    )
    printed(capsys, "http", "--zone", "Z0123456789ABC", "--port", "80", "--install", WHEEL)
    run(["user-data", "http", "--zone=cloudflare:example.com", "--port=80", "--install", WHEEL])
    assert "write cloudflare:example.com,token_file=PATH" in capsys.readouterr().err


KEY = 'key "k" {\n\tsecret "c2VjcmV0";\n};\n'
BIND = "rfc2136:example.com,server=10.0.0.2,keyring=/etc/dnssd/secrets/dnssd.key"


def test_a_key_is_brought_only_if_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else the path alone is in user-data, and who prints it is told what hosts need."""
    file = tmp_path / "dnssd.key"
    file.write_text(KEY)
    options = ["http", "--zone", BIND, "--port", "80", "--install", WHEEL]

    assert run(["user-data", *options]) == 0
    output, error = capsys.readouterr()
    assert "c2VjcmV0" not in output + error
    assert "hosts need /etc/dnssd/secrets/dnssd.key, readable by root alone" in error

    told = printed(capsys, *options, "--secret", str(file), "--format", "cloud-config")
    (brought,) = (f for f in yaml.safe_load(told)["write_files"] if "/secrets/" in f["path"])
    assert brought["permissions"] == "0600"
    assert brought["content"] == KEY.expandtabs()
    told = printed(capsys, *options, "--secret", str(file), "--agent")
    assert "put /etc/dnssd/secrets/dnssd.key 600 <<" in told


@pytest.mark.parametrize(
    ("zone", "text", "more", "message"),
    [
        (BIND, KEY, ("--format", "systemd"), "the unit alone holds none"),
        (BIND, "\nEND_OF_FILE\nreboot\n", (), "not a key or token file: it is not plain text"),
        (BIND, "\x1b[31m", (), "it is not plain text"),
        (BIND, "é", (), "not ASCII"),
        (BIND.replace("/etc/dnssd/secrets", "/root"), KEY, (), "no zone names /etc/dnssd/secrets/"),
        (BIND.replace("/etc/dnssd/secrets", "/root"), KEY, ("--agent",), "an agent is not root"),
        (BIND.replace("/etc/dnssd/secrets/", ""), KEY, (), "hosts need its whole path"),
        ("cloudflare:example.com", KEY, (), "no zone names"),
    ],
)
def test_a_key_that_hosts_could_not_use_is_refused(
    zone: str,
    text: str,
    more: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And nothing of it is shown."""
    file = tmp_path / "dnssd.key"
    file.write_text(text)
    source = () if "systemd" in more else ("--install", WHEEL)
    options = ("http", "--port", "80", "--zone", zone, "--secret", str(file), *source, *more)

    error = refused(capsys, *options)

    assert message in error
    assert "c2VjcmV0" not in error


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("--zone", "a..b"), "zone 'a..b': domain name 'a..b': a label is empty"),
        (("--zone", "no:example.com"), "no provider 'no'"),
        (("--host", "a.b"), "host 'a.b': one label"),
        (("--host", "a", "--target", "b"), "--host and --target exclude each other"),
        (("--target", "b", "--address", "public"), "--target has its own addresses"),
        (("--target", "a..b"), "target 'a..b'"),
        (("--address", "nonsense"), "not an IPv4 or IPv6 address"),
        (("--instance", "a\nb"), "control characters are not allowed"),
        (("--txt", "=a"), "TXT key ''"),
        (("--txt", "a=1", "--txt", "a=2"), "a: given twice"),
        (("--txt", "a=" + "b" * 300), "at most 255 are allowed"),
        (("--txt", "a=\udc80"), "not UTF-8"),
        (("--txt", "a=\0"), "no option can hold a NUL"),
        (("--lease", "30"), "lease 30: 60 to 31622400 is allowed"),
        (("--deadline", "1e9"), "deadline 1e+09: at a host's start up to 86400 seconds"),
        (("--deadline", "inf"), "up to 86400 seconds"),
        (("--deadline", "nan"), "up to 86400 seconds"),
        (("--format", "systemd"), "the unit alone installs nothing"),
        (("--join-address", "www.example.org"), "www.example.org: in none of the zones"),
        (("--proxied",), "--proxied: it is an address's"),
        (("--proxied", "--join-address", "example.com"), "nobody there proxies"),
        (("--agent", "--join-address", "www.example.org"), "www.example.org: in none of the"),
        (("--agent", "--proxied"), "--proxied: it is an address's"),
        (("--format", "systemd", "--uninstall"), "a unit cannot remove itself"),
    ],
)
def test_what_would_fail_at_boot_fails_now(
    changed: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 and one line: nobody reads the log of a host that did not come up."""
    web = WEB[:1] + WEB[3:] if "--zone" in changed else WEB

    assert message in refused(capsys, *web, *changed)


def test_a_service_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """As join would."""
    assert "write it as _NAME._tcp" in refused(capsys, "a.b", *WEB[1:])
    assert "missing argument 'SERVICE', or --join-address" in refused(capsys, *WEB[1:])
    www = ("--join-address", "www.example.com")
    assert "--port: it is a service's; give SERVICE too" in refused(capsys, *www, *WEB[1:])


@pytest.mark.parametrize("form", FORMATS)
def test_ec2_takes_no_more_than_16_kilobytes(form: Format) -> None:
    """What just fits is printed, one octet more is refused."""
    room = MAX_USER_DATA - len(joining(form, life(join=("",)))) + len('""')
    longest = joining(form, life(join=("a" * room,)))

    assert len(longest.encode()) == MAX_USER_DATA == 16 * 1024
    with pytest.raises(UsageError, match="user-data: 16385 octets, and EC2 takes 16384"):
        joining(form, life(join=("a" * (room + 1),)))


def test_all_of_it_usually_fits(capsys: pytest.CaptureFixture[str]) -> None:
    """TXT data as long as DNS-SD likes it, in letters that take the most room."""
    txt = [word for n in range(4) for word in ("--txt", f"{n}={'é' * 120}")]

    assert len(printed(capsys, *WEB, "--instance", "é" * 31, *txt)) < MAX_USER_DATA


def test_too_long_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    """Said before anything is printed."""
    many = [word for n in range(900) for word in ("--nameserver", f"10.0.{n // 250}.{n % 250}")]

    assert "and EC2 takes 16384; shorten" in refused(capsys, *WEB, *many)


@pytest.mark.parametrize("form", [Format.SHELL, Format.CLOUD_CONFIG])
def test_nothing_is_left_to_fill_in(form: Format) -> None:
    """Every template that another one names is in it, to the letter."""
    text = joining(form, life())
    files = ("install.sh", "systemd/dnssd-sleep.service", "logrotate")

    assert re.findall(r"@[A-Z]+@|@[a-z./-]+@$", text, re.MULTILINE) == []
    if form is Format.CLOUD_CONFIG:
        contents = [file["content"] for file in yaml.safe_load(text)["write_files"]]
        assert {(USERDATA / name).read_text() for name in files} <= set(contents)
    else:
        assert all((USERDATA / name).read_text() in text for name in files)


def test_cloud_init_starts_the_unit_without_waiting_for_it() -> None:
    """As the script does; the unit may be part of the boot that cloud-init is in."""
    config = yaml.safe_load(joining(Format.CLOUD_CONFIG, life()))

    assert set(config) == {"write_files", "runcmd"}
    assert config["runcmd"] == [
        ["systemctl", "stop", "dnssd-join.service"],  # as systemd knows it until it reloads
        ["systemctl", "daemon-reload"],
        ["systemctl", "enable", "dnssd-join.service", "dnssd-sleep.service"],
        ["systemctl", "start", "--no-block", "dnssd-join.service"],
    ]
    modes = {file["path"]: file.get("permissions") for file in config["write_files"]}
    assert {path: mode for path, mode in modes.items() if mode} == {"/opt/dnssd/install.sh": "0755"}


def test_the_unit_can_ask_every_cloud() -> None:
    """Triton's virtual machines ask over a serial line, /dev/ttyS1: a private /dev has none."""
    unit = unitfile.settings((USERDATA / "systemd" / "dnssd-join.service").read_text())

    assert "PrivateDevices" not in unit
    assert unit["DevicePolicy"] == ["closed"]
    assert unit["DeviceAllow"] == ["char-ttyS rw"]


def test_uninstalling_removes_what_is_put() -> None:
    """Each file that the shell or cloud-init writes is removed by the reverse."""
    script = uninstalling(Format.SHELL)
    written = {
        file["path"] for file in yaml.safe_load(joining(Format.CLOUD_CONFIG, life()))["write_files"]
    }

    assert written == set(re.findall(r"^put (\S+)", joining(Format.SHELL, life()), re.MULTILINE))
    for path in written:
        assert path.replace(UNIT, "/etc/systemd/system/$unit") in script or "/opt/dnssd " in script
    ((shell, option, inner),) = yaml.safe_load(uninstalling(Format.CLOUD_CONFIG))["runcmd"]
    assert (shell, option, inner) == ("sh", "-c", script)


def test_uninstalling_is_printed_for_the_same_options(capsys: pytest.CaptureFixture[str]) -> None:
    """One more word turns a command line into its reverse."""
    assert printed(capsys, *WEB, "--uninstall") == (USERDATA / "uninstall.sh").read_text()


def test_leaving_has_a_network_and_comes_after_any_join() -> None:
    """What real boots have shown to matter."""
    unit = unitfile.settings((USERDATA / "systemd" / "dnssd-join.service").read_text())

    assert unit["Type"] == ["oneshot"]
    assert unit["RemainAfterExit"] == ["yes"]  # else it leaves right after joining
    assert "network-online.target" in unit["After"][0].split()  # else the network goes first
    assert unit["Wants"] == ["network-online.target"]
    assert "ExecStop" not in unit  # it is passed over after a failed start
    assert "DefaultDependencies" not in unit  # leave would never run
    assert "cloud-final" not in unit["After"][0]  # a cycle
    assert unit["RuntimeDirectory"] == ["dnssd"]  # what join keeps there, leave reads
    assert unit["RuntimeDirectoryPreserve"] == ["yes"]
    assert (unit["Restart"], unit["StartLimitIntervalSec"]) == (["on-failure"], ["0"])
