#!/usr/bin/env python3
"""Report functions and modules of dnssd/ that have grown too long to be read at once."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_FUNCTION_LINES = 30  # its signature counts, its docstring does not
MAX_MODULE_LINES = 300

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def findings(path: Path) -> Iterator[str]:
    """What is too long in one module, as `PATH:LINE: what`."""
    text = path.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    if lines > MAX_MODULE_LINES:
        yield f"{path}:1: {lines} lines; a module has at most {MAX_MODULE_LINES}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, _Function) and (lines := length(node)) > MAX_FUNCTION_LINES:
            most = f"a function has at most {MAX_FUNCTION_LINES}"
            yield f"{path}:{node.lineno}: {node.name}: {lines} lines; {most}"


def length(function: _Function) -> int:
    """The lines of a function without its decorators and its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function, clean=False) is None:
        return lines
    docstring = function.body[0]
    return lines - (docstring.end_lineno or docstring.lineno) + docstring.lineno - 1


if __name__ == "__main__":
    found = [each for path in sorted(Path("dnssd").rglob("*.py")) for each in findings(path)]
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))
