"""What commands print: JSON for programs, columns for people, nothing that moves a cursor."""

import json
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from dnssd.records import Txt


def print_json(value: Any) -> None:
    """Print one JSON object on one line."""
    print(json_line(value))


def json_line(value: Any) -> str:
    """One JSON object as a line; what is not printable is escaped in it."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows in columns under their headings; on a terminal no line is cut in two."""
    cells = [tuple(headings), *(tuple(safe(str(cell)) for cell in row) for row in rows)]
    widths = [max(map(width_of, column)) for column in zip(*cells, strict=True)]
    room = shutil.get_terminal_size().columns if _is_terminal() else None
    for row in cells:
        line = "  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True))
        line = line.rstrip()
        print(line if room is None or width_of(line) <= room else _cut(line, room - 1) + "…")


def some(texts: Sequence[str]) -> str:
    """The first ten in one line, and how many more there are."""
    more = f" and {len(texts) - 10} more" if texts[10:] else ""
    return ", ".join(texts[:10]) + more


def width_of(text: str) -> int:
    """How many columns a terminal takes for it: two for each Chinese character, say."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def padded(text: str, width: int) -> str:
    """`text` with spaces behind it, up to so many columns."""
    return text + " " * (width - width_of(text))


def _cut(text: str, room: int) -> str:
    """As much of `text` as fits into so many columns."""
    taken = accumulate(map(_columns, text))
    return text[: sum(1 for columns in taken if columns <= room)]


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()  # None where it was closed at first


def safe(text: str) -> str:
    r"""`text` with every character that is not printable as `\xNN` or the like."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def txt_json(txt: Txt | None) -> dict[str, Any]:
    """TXT data as JSON: text, `true` for a key without value, base64 for other bytes."""
    return {key: _txt_value(value) for key, value in (txt.pairs if txt else {}).items()}


def _txt_value(value: bytes | None) -> str | bool | dict[str, str]:
    if value is None:
        return True
    try:
        return value.decode()
    except UnicodeDecodeError:
        import base64

        return {"base64": base64.b64encode(value).decode()}
