"""What commands print: nothing that DNS holds can move a cursor."""

import json
import logging

import pytest

from dnssd.cli import logs
from dnssd.cli.output import print_json, print_table, safe, txt_json
from dnssd.records import Txt

HOSTILE = "\x1b[2J\u009b2J\u202e\x7f\n\u2028\U000e0001"


def test_json_escapes_what_is_not_printable(capsys: pytest.CaptureFixture[str]) -> None:
    """And still reads back as it was."""
    print_json({"txt": HOSTILE, "name": "Café · ünï"})
    out = capsys.readouterr().out
    assert out.removesuffix("\n").isprintable()
    assert "Café · ünï" in out
    assert json.loads(out)["txt"] == HOSTILE


def test_tables_and_lines_escape_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A cell takes one line, and the width that is seen."""
    print_table(("A", "B"), [(HOSTILE, "x"), ("é", 1)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
    assert safe("Café") == "Café"
    assert safe("\x1b") == r"\x1b"


def test_columns_stand_below_each_other_in_any_script(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Chinese characters take two columns of a terminal, and accents of their own none."""
    print_table(("A", "B"), [("印刷室", "x"), ("e\u0301", "x"), ("web", "x")])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["A       B", "印刷室  x", "e\u0301       x", "web     x"]


@pytest.mark.parametrize(
    ("columns", "line"), [(9, "A  印刷室"), (8, "A  印刷…"), (7, "A  印…"), (6, "A  印…")]
)
def test_no_line_is_wider_than_the_terminal_in_any_script(
    columns: int,
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What does not fit is cut off, and never half of a character."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("dnssd.cli.output._is_terminal", lambda: True)

    print_table(("A", "印刷室"), [])

    assert capsys.readouterr().out == line + "\n"


def test_txt_values_are_text_true_or_base64() -> None:
    """The four states of a key; an absent TXT is an empty object."""
    txt = Txt((b"text=caf\xc3\xa9", b"flag", b"empty=", b"bytes=\xff\x00"))
    assert txt_json(txt) == {"text": "café", "flag": True, "empty": "", "bytes": {"base64": "/wA="}}
    assert txt_json(None) == {}


def test_json_logs_hold_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """In the line itself: an unexpected error can be traced, and a line is an object still."""
    logger = logging.getLogger("dnssd")
    logs.start(0, "json")
    try:
        raise ValueError("odd")
    except ValueError:
        logger.exception("unexpected error in a callback")
    logger.warning("no error")
    odd, plain = map(json.loads, capsys.readouterr().err.splitlines())

    assert odd["message"] == "unexpected error in a callback"
    assert odd["traceback"].startswith("Traceback")
    assert odd["traceback"].endswith("ValueError: odd")
    assert "traceback" not in plain
