"""IAM policy documents in files: read strictly, so that none means more or less than it says."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dnssd.errors import UsageError
from dnssd.names import shown
from dnssd.sandbox.faults.policy import (
    ACTIONS,
    NAMES,
    TYPES,
    Comparison,
    Condition,
    Effect,
    Null,
    Quantifier,
    Statement,
)

_VERSIONS = ("2012-10-17", "2008-10-17")
_KEYS = {key.lower(): key for key in (NAMES, TYPES, ACTIONS)}  # IAM compares them without case
_OPERATOR = re.compile("(?:(ForAllValues|ForAnyValue):)?String(Equals|Like)(IfExists)?")
_OPERATORS = "StringEquals, StringLike, those with ForAllValues: or ForAnyValue:, and Null"
_PARTITION = re.compile("^arn:aws(-[a-z-]+)?:")  # the sandbox is in whichever a policy is for
_ACTION = re.compile(r"\*|[a-z0-9*?-]+:[a-z0-9*?]+", re.IGNORECASE | re.ASCII)


def load_policy(path: Path) -> tuple[Statement, ...]:
    """The statements of the policy document in a file.

    Raises:
        UsageError: It cannot be read, or holds what IAM or this sandbox does not know.
    """
    name = str(path)
    what = f"policy {name!r}" if name.isprintable() else f"policy {name!a}"
    try:
        return read_policy(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{what}: {error.strerror}; name a file that can be read") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{what}: not UTF-8; write it as JSON") from error
    except UsageError as error:
        raise UsageError(f"{what}: {error}") from error


def read_policy(text: str) -> tuple[Statement, ...]:
    """The statements of a policy document.

    Raises:
        UsageError: What is wrong, and where.
    """
    try:
        document = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise UsageError(f"{place}: not JSON ({error.msg}); mend it there") from error
    except (ValueError, RecursionError) as error:  # a number too long, a nesting too deep
        raise UsageError(f"no policy ({error}); write an IAM policy document") from error
    parts = _parts(document, "the document", needed=("Statement",), other=("Version", "Id"))
    if parts.get("Version", _VERSIONS[0]) not in _VERSIONS:
        raise UsageError(f"Version: {_text(parts['Version'])} is none; write {_VERSIONS[0]}")
    statements = parts["Statement"]
    listed = statements if isinstance(statements, list) else [statements]
    return tuple(
        _statement(statement, f"Statement {number}") for number, statement in enumerate(listed, 1)
    )


def _statement(document: object, place: str) -> Statement:
    needed = ("Effect", "Action", "Resource")
    parts = _parts(document, place, needed=needed, other=("Sid", "Condition"))
    if parts["Effect"] not in list(Effect):
        raise UsageError(f"{place}, Effect: {_text(parts['Effect'])} is none; write Allow or Deny")
    actions = _texts(parts["Action"], f"{place}, Action")
    for name in actions:
        if not _ACTION.fullmatch(name):
            raise UsageError(
                f"{place}, Action: {shown(name)} is none; write route53:NAME, or * for all"
            )
    resources = _texts(parts["Resource"], f"{place}, Resource")
    for arn in resources:
        if arn != "*" and not arn.startswith("arn:"):
            raise UsageError(f"{place}, Resource: {shown(arn)} is no ARN; write arn:aws:… or *")
    resources = tuple(_PARTITION.sub("arn:aws:", arn) for arn in resources)
    conditions = tuple(_conditions(parts.get("Condition", {}), f"{place}, Condition"))
    return Statement(Effect(parts["Effect"]), actions, resources, conditions)


def _conditions(document: object, place: str) -> Iterator[Condition]:
    for operator, keys in _mapping(document, place).items():
        at = f"{place} {shown(operator)}"
        match = _OPERATOR.fullmatch(operator)
        if not match and operator != "Null":
            raise UsageError(f"{at}: not supported here; use {_OPERATORS}")
        for written, values in _mapping(keys, at).items():
            key = _KEYS.get(written.lower())
            if not key:
                raise UsageError(
                    f"{at}: {shown(written)} is not supported here; use {', '.join(_KEYS.values())}"
                )
            wanted = _texts(values, f"{at} {key}")
            yield _comparison(match, key, wanted) if match else _null(key, wanted, at)


def _comparison(operator: re.Match[str], key: str, wanted: tuple[str, ...]) -> Comparison:
    quantifier, relation, if_exists = operator.groups()
    return Comparison(
        key, Quantifier(quantifier or ""), wanted, relation == "Like", if_exists is not None
    )


def _null(key: str, wanted: tuple[str, ...], place: str) -> Null:
    for text in wanted:
        if text not in ("true", "false"):
            raise UsageError(f"{place} {key}: {shown(text)} is neither; write true or false")
    return Null(key, frozenset(text == "true" for text in wanted))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, if none of its keys comes twice: IAM refuses that, JSON takes the last."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{shown(twice)} comes twice in one object; merge the two")
    return made


def _parts(
    document: object, place: str, *, needed: tuple[str, ...], other: tuple[str, ...]
) -> Mapping[str, Any]:
    """The members of an object that has certain ones."""
    parts = _mapping(document, place)
    for name in parts:
        if name not in (*needed, *other):
            known = ", ".join((*needed, *other))
            raise UsageError(f"{place}: {shown(name)} is not supported here; use {known}")
    for name in needed:
        if name not in parts:
            raise UsageError(f"{place}: it has no {name}; add one")
    return parts


def _mapping(document: object, place: str) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        raise UsageError(f"{place}: {_text(document)} is no JSON object; write one")
    return document


def _texts(document: object, place: str) -> tuple[str, ...]:
    """One text or a list of them; what is true or false may stand there as such."""
    texts = []
    for item in document if isinstance(document, list) else [document]:
        text = json.dumps(item) if isinstance(item, bool) else item
        if not isinstance(text, str):
            raise UsageError(f"{place}: {_text(item)} is no text; write one, or a list of them")
        if "${" in text:
            raise UsageError(f"{place}: {shown(text)}: no variables here; write what it stands for")
        texts.append(text)
    return tuple(texts)


def _text(document: object) -> str:
    return shown(document if isinstance(document, str) else json.dumps(document))
