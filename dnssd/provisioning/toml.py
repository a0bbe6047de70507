"""Tables in TOML, as text. Pure: tomllib reads, and nothing in the standard library writes."""

from collections.abc import Mapping
from typing import Any


def toml(table: Mapping[str, Any]) -> str:
    r"""A table as TOML in printable ASCII; tables in a list come last, as `[[key]]`.

    No line of it can end a shell's document, or a block of YAML: each is `key = value` or a
    head in brackets, and other letters are `\u` escapes.
    """
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not _heads(value)]
    for key, value in table.items():
        if _heads(value):
            for each in value:
                lines += ["", f"[[{_key(key)}]]", toml(each).rstrip("\n")]
    return "\n".join(lines).lstrip("\n") + "\n"


def _heads(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _key(key: str) -> str:
    plain = key.isascii() and key.replace("_", "a").replace("-", "a").isalnum()
    return key if plain else _text(key)


def _text(text: str) -> str:
    return '"' + "".join(map(_letter, text)) + '"'


def _letter(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if " " <= char <= "~":
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
