"""Checks as URLs: what they mean, what is left out, and what is none."""

import pytest

from dnssd.checks import KEPT, Check, address_to_check, escaped
from dnssd.errors import UsageError


@pytest.mark.parametrize(
    ("url", "host", "port", "rest"),
    [
        ("tcp://10.0.0.5:80", "10.0.0.5", 80, ""),
        ("tcp://[2001:db8::1]:80", "2001:db8::1", 80, ""),
        ("tcp://", "", 0, ""),
        ("tcp://:8081", "", 8081, ""),
        ("http://web.example.com/health?deep=1", "web.example.com", 80, "/health?deep=1"),
        ("https://web.example.com", "web.example.com", 443, ""),
        ("http:///health", "", 0, "/health"),
        ("grpc://10.0.0.5:50051/shop.Cart", "10.0.0.5", 50051, "/shop.Cart"),
    ],
)
def test_a_url_says_whom_to_ask(url: str, host: str, port: int, rest: str) -> None:
    """Host, port and path stand where they do in any URL; HTTP has its own ports."""
    check = Check.parse(url)
    assert (check.host, check.port, check.rest) == (host, port, rest)


def test_what_is_left_out_is_the_members_own() -> None:
    """Without a host a check asks the member's address, and its port unless it names one."""
    assert Check.parse("tcp://").at("10.0.0.5", 8080).port == 8080
    assert Check.parse("tcp://:9").at("10.0.0.5", 8080).port == 9
    assert Check.parse("http:///").at("10.0.0.5", 8080).host == "10.0.0.5"
    there = Check.parse("tcp://db:5432")
    assert there.at("10.0.0.5", 8080) == there
    command = Check.parse("exec:true")
    assert command.at("10.0.0.5", 8080) == command


def test_options_follow_a_comma_at_the_end() -> None:
    """What an answer must hold may itself hold what a URL may not."""
    check = Check.parse("https://h/a,b,name=web.example.com,expect=all is well")
    assert check.options == {"name": "web.example.com", "expect": "all is well"}
    assert check.rest == "/a,b"


def test_a_command_is_split_as_a_shell_splits_words() -> None:
    """Quotes hold words together, and nothing is expanded."""
    assert Check.parse("exec:pg_isready -h 'my host' $X").words == (
        "pg_isready",
        "-h",
        "my host",
        "$X",
    )


def test_a_member_is_asked_at_the_address_that_it_was_given() -> None:
    """One in full wins; `private` and `public` are both the host, where it can reach itself."""
    assert address_to_check(["public", "192.0.2.7"], ["10.0.0.5"]) == "192.0.2.7"
    assert address_to_check(["public"], ["10.0.0.5", "10.0.0.6"]) == "10.0.0.5"
    assert address_to_check([], []) == "127.0.0.1"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "tcp",
        "tcp:",
        "tcp:10.0.0.5:80",
        "tcp://10.0.0.5",
        "tcp://10.0.0.5:80/path",
        "tcp://10.0.0.5:99999",
        "tcp://10.0.0.5:80,expect=x",
        "udp://10.0.0.5:80",
        "http://user@web.example.com/",
        "http://web.example.com/a b",
        "http://web.example.com/\r\nHost: other",
        "http://web.example.com/,expect=a,expect=b",
        "https://[2001:db8::1",
        "exec:",
        "exec:'",
        "exec: ",
        "systemd:",
        "unless-file:",
    ],
)
def test_what_is_no_check_is_refused_with_a_reason(url: str) -> None:
    """The message quotes it, and says in one line what a check looks like or what is wrong."""
    with pytest.raises(UsageError, match=r"^check ") as caught:
        Check.parse(url)
    assert "\n" not in str(caught.value)


def test_the_last_word_is_short_and_moves_no_cursor() -> None:
    """What a service says reaches terminals and logs: one line, printable, not endless."""
    assert escaped("one\ntwo\x1b[31m\x00") == "one two\\x1b[31m\\x00"
    assert len(escaped("\x1b" * 1000)) == KEPT
