import logging
from pathlib import Path

import pytest

from dnssd.errors import UsageError
from dnssd.names import Name
from dnssd.zones.rfc2136.keyfile import load_key, read_keys

SECRET = "c2VjcmV0IG9mIHRoZSB0ZXN0cw=="


@pytest.mark.parametrize(
    "text",
    [
        f'key "host-key" {{\n\talgorithm hmac-sha512;\n\tsecret "{SECRET}";\n}};\n',
        f"key host-key {{ secret {SECRET}; algorithm HMAC-SHA512; }};",
        f'# made by hand\nkey "host-key" {{ /* two\nlines */ algorithm "hmac-sha512"; '
        f'// here\n secret "{SECRET}"; }};',
        f'options {{ directory "/x"; key-directory "y"; }};\nkey host-key\n{{\nsecret "{SECRET}";'
        f"\nalgorithm hmac-sha512.;\n}}\n;",
    ],
    ids=["tsig-keygen", "secret first", "comments", "beside other statements"],
)
def test_a_key_is_read_however_it_is_written(text: str) -> None:
    """Order, quotes, comments and other statements make no difference."""
    (key,) = read_keys(text, "file")
    assert key.name == Name.parse("host-key")
    assert key.algorithm == "hmac-sha512"
    assert key.secret == b"secret of the tests"


def test_a_key_without_algorithm_is_taken_for_the_usual_one() -> None:
    """Old files leave it out."""
    (key,) = read_keys(f'key k {{ secret "{SECRET}"; }};', "file")
    assert key.algorithm == "hmac-sha256"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('key k {\nsecret "c2Vj*cmV0";\n};', "file:1: key 'k': the secret in line 2 is not base64"),
        ("key k {\nalgorithm hmac-sha256;\n};", "file:1: key 'k': it has no secret"),
        (f'\nkey k {{ secret "{SECRET}"; ', "file:2: key 'k': it does not end"),
        (f'key k {{ secret "{SECRET}"; algorithm rot13; }};', "no algorithm 'rot13'; there is hm"),
        (f'key k {{ secret "{SECRET}"; algorithm hmac-md5; }};', "hmac-md5 is outdated"),
        (f'key k {{\nsecret "{SECRET}" }};', "line 2 is not WORD VALUE;"),
        (f'key k {{\nsecret "{SECRET}";\nsecret "{SECRET}"; }};', "line 3: one algorithm and one"),
        (f'key k {{ secret "{SECRET}', "file:1: a quote or comment that does not end"),
        (f'key "a..b" {{ secret "{SECRET}"; }};', "file:1: key 'a..b'"),
    ],
)
def test_a_broken_key_is_told_with_its_line_and_without_its_secret(text: str, said: str) -> None:
    """What is wrong, where; a secret is never shown."""
    with pytest.raises(UsageError) as caught:
        read_keys(text, "file")
    assert said in str(caught.value)
    assert "c2V" not in str(caught.value)


def test_one_of_several_keys_is_chosen_by_its_name(tmp_path: Path) -> None:
    """Without a name several are an error that lists them."""
    file = tmp_path / "keys"
    file.write_text("".join(f'key "{name}" {{ secret "{SECRET}"; }};\n' for name in "ab"))
    file.chmod(0o600)
    assert load_key(str(file), "B.").name == Name.parse("b")
    with pytest.raises(UsageError, match=r"it holds several keys: a\., b\.; append ,key=NAME"):
        load_key(str(file), None)
    with pytest.raises(UsageError, match="it holds no key called c"):
        load_key(str(file), "c")


def test_a_file_that_is_not_there_or_not_text_is_told(tmp_path: Path) -> None:
    """One line each."""
    with pytest.raises(UsageError, match="nowhere: No such file or directory"):
        load_key(str(tmp_path / "nowhere"), None)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="binary: it is not text"):
        load_key(str(tmp_path / "binary"), None)


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o640, False)])
def test_a_key_that_everybody_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    """With what to do; a group may be meant."""
    file = tmp_path / "key"
    file.write_text(f"key k {{ secret {SECRET}; }};")
    file.chmod(mode)
    with caplog.at_level(logging.WARNING):
        key = load_key(str(file), None)
    assert ("chmod 600" in caplog.text) is warned
    assert SECRET not in repr(key) + caplog.text
