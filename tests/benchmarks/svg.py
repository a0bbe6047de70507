"""What the pictures have in common: an SVG that follows the reader's light or dark theme."""

from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import escape

_STYLE = """<style>
text { fill: #1f2328 } .axis { stroke: #1f2328 } .grid { stroke: #d1d9e0 } .paper { fill: #ffffff }
.quiet { fill: #59636e }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .axis { stroke: #f0f6fc } .grid { stroke: #3d444d } .paper { fill: #0d1117 }
.quiet { fill: #9198a1 }
}
</style>"""


def save(path: Path, width: int, height: int, title: str, parts: Iterable[str]) -> None:
    """Write a picture.

    Args:
        path: Where to write it.
        width: Of the picture, in its own units.
        height: Likewise.
        title: What a screen reader says of it.
        parts: Its elements, as text.
    """
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'font-family="sans-serif" font-size="12">'
    )
    paper = '<rect class="paper" width="100%" height="100%"/>'
    lines = [head, f"<title>{escape(title)}</title>", _STYLE, paper, *parts, "</svg>", ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def label(x: float, y: float, words: str, attributes: str = "") -> str:
    """A line of text; `attributes` are its own, such as `style="fill: red"`."""
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(words)}</text>'.replace(" >", ">")
