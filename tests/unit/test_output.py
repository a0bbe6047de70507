"""What commands print: nothing that DNS holds can move a cursor."""

import json

import pytest

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


def test_txt_values_are_text_true_or_base64() -> None:
    """The four states of a key; an absent TXT is an empty object."""
    txt = Txt((b"text=caf\xc3\xa9", b"flag", b"empty=", b"bytes=\xff\x00"))
    assert txt_json(txt) == {"text": "café", "flag": True, "empty": "", "bytes": {"base64": "/wA="}}
    assert txt_json(None) == {}
