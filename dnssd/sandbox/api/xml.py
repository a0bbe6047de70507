"""XML as Route 53 speaks it: small documents, elements with text, no attributes that matter."""

import re
from collections.abc import Iterable
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder, tostring
from xml.parsers import expat

from dnssd.sandbox.api.rejections import Rejection, invalid_input

NAMESPACE = "https://route53.amazonaws.com/doc/2013-04-01/"

_MAX_DEPTH = 16  # the deepest request has 7 levels
_MAX_ELEMENTS = 50_000  # the longest batch that the limits allow has about 15,000
_ILLEGAL = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read(body: bytes, tag: str) -> Element:
    """The elements of a document, their names without namespaces.

    Raises:
        Rejection: MalformedInput: no XML, another document than `tag`, or one with a
            DOCTYPE: nobody sends one but to make entities explode.
    """
    builder = _Bounded()
    parser = expat.ParserCreate("utf-8", "}")
    parser.StartElementHandler = builder.begin
    parser.EndElementHandler = builder.finish
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise _malformed(str(error)) from error
    root = builder.close()
    if root.tag != tag:
        raise _malformed(f"expected {tag}")
    return root


class _Bounded(TreeBuilder):
    """Builds elements without attributes: not too many, and not too deep."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = self._elements = 0

    def begin(self, name: str, _: object) -> None:
        self._depth += 1
        self._elements += 1
        if self._elements > _MAX_ELEMENTS:
            raise _malformed("there are too many elements")
        if self._depth > _MAX_DEPTH:
            raise _malformed("elements are nested too deep")
        self.start(name.rpartition("}")[2], {})

    def finish(self, name: str) -> None:
        self._depth -= 1
        self.end(name.rpartition("}")[2])


def children(element: Element, *allowed: str) -> dict[str, Element]:
    """The children of `element` by name.

    Raises:
        Rejection: InvalidInput: one that is not among `allowed`, or comes twice.
    """
    found: dict[str, Element] = {}
    for child in element:
        if child.tag not in allowed or child.tag in found:
            raise invalid_input(
                f"Invalid XML ; Invalid content was found starting with element '{child.tag}'. "
                f"One of '{{{', '.join(allowed)}}}' is expected."
            )
        found[child.tag] = child
    return found


def texts(element: Element | None, *allowed: str) -> dict[str, str]:
    """The text of each child of `element`; of none if it is absent."""
    if element is None:
        return {}
    return {tag: child.text or "" for tag, child in children(element, *allowed).items()}


def element(tag: str, *content: Element | str | int | bool | None) -> Element:
    """An element holding text, or those of `content` that are elements."""
    made = Element(tag)
    for part in content:
        if isinstance(part, Element):
            made.append(part)
        elif isinstance(part, bool):
            made.text = str(part).lower()
        elif part is not None:
            made.text = _ILLEGAL.sub("?", str(part))
    return made


def optional(tag: str, content: str | int | None) -> tuple[Element, ...]:
    """An element for `content`, or none for None and the empty text."""
    return () if content in (None, "") else (element(tag, content),)


def write(tag: str, parts: Iterable[Element]) -> bytes:
    """A whole document."""
    root = element(tag, *parts)
    root.set("xmlns", NAMESPACE)
    document: bytes = tostring(root, encoding="UTF-8", xml_declaration=True)
    return document


def _refuse_doctype(*_: object) -> NoReturn:
    raise _malformed("a DOCTYPE is not allowed")


def _malformed(why: str) -> Rejection:
    return Rejection("MalformedInput", f"Unparseable XML: {why}")
