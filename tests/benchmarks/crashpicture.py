"""Requests over time, answered and failed, and what was killed when, as an SVG."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from crashload import RATE, Result
from svg import label, save

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 45, 20, 92, 45
GOOD, BAD = "#10a37f", "#e5484d"


def draw(path: Path, results: Sequence[Result], marks: Sequence[tuple[float, str]]) -> None:
    """Draw a bar for each second.

    Args:
        path: Where to write it.
        results: Of the requests.
        marks: When what was killed, on the monotonic clock; the last one is the end.
    """
    begin, seconds = marks[0][0], int(marks[-1][0] - marks[0][0])
    wide = (WIDTH - LEFT - RIGHT) / seconds
    tall = (HEIGHT - TOP - BOTTOM) / RATE
    base = HEIGHT - BOTTOM
    good = Counter(int(each.at - begin) for each in results if each.server)
    bad = Counter(int(each.at - begin) for each in results if not each.server)
    title = f"{RATE} requests a second, answered and failed, while parts are killed"
    parts = [label(LEFT, 18, title)]
    for second in range(seconds):
        x, up = LEFT + wide * second, float(base)
        for count, color in ((good[second], GOOD), (bad[second], BAD)):
            height = min(count, RATE) * tall
            up -= height
            if count:
                box = f'x="{x:.1f}" y="{up:.1f}" width="{wide * 0.9:.1f}" height="{height:.1f}"'
                parts.append(f'<rect {box} fill="{color}"/>')
    for at, name in marks[:-1]:
        x = LEFT + wide * (at - begin)
        parts.append(f'<path d="M{x:.1f} {base}V{TOP - 6}" class="axis" stroke-dasharray="2 3"/>')
        parts.append(label(x, TOP - 8, name, f'transform="rotate(-25 {x:.1f} {TOP - 8})"'))
    parts += [label(8, base - count * tall + 4, f"{count}") for count in (0, 100, 200)]
    parts += [label(LEFT + wide * at, base + 16, f"{at}") for at in range(0, seconds, 10)]
    parts.append(label(WIDTH / 2 - 20, HEIGHT - 8, "seconds"))
    save(path, WIDTH, HEIGHT, title, parts)
