"""What share of look-ups was answered within which time, as an SVG."""

import bisect
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from svg import label, save

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 55, 20, 40, 45
COLORS = ("#10a37f", "#3b82f6", "#d97706", "#a16207", "#e5484d", "#a855f7")
SHORTEST, LONGEST = 0.0005, 20.0  # seconds, the ends of the axis
_STEPS = 160  # points of a curve
_MARKS = {0.001: "1 ms", 0.01: "10 ms", 0.1: "100 ms", 1: "1 s", 10: "10 s"}


def draw(path: Path, title: str, curves: Mapping[str, Sequence[float]]) -> None:
    """Draw one curve for each client.

    Args:
        path: Where to write it.
        title: What was measured.
        curves: By client: the seconds of each look-up, `math.inf` for one that failed.
    """
    parts = [
        label(LEFT, 20, title),
        *_axes(),
    ]
    for number, (name, times) in enumerate(curves.items()):
        color = COLORS[number]
        parts.append(f'<path d="{_curve(sorted(times))}" fill="none" stroke="{color}" ')
        parts.append('stroke-width="2"/>')
        never = sum(time == math.inf for time in times) / len(times)
        kept = f"{name}: {never:.0%} never" if never else name
        parts.append(label(LEFT + 12, TOP + 20 + 18 * number, kept, f'style="fill: {color}"'))
    save(path, WIDTH, HEIGHT, title, parts)


def _x(seconds: float) -> float:
    share = math.log(seconds / SHORTEST) / math.log(LONGEST / SHORTEST)
    return LEFT + (WIDTH - LEFT - RIGHT) * share


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def _curve(times: Sequence[float]) -> str:
    """Points evenly spaced on the axis: as many for 30,000 look-ups as for 30."""
    points = []
    for step in range(_STEPS + 1):
        seconds = SHORTEST * (LONGEST / SHORTEST) ** (step / _STEPS)
        share = bisect.bisect_right(times, seconds) / len(times)
        points.append(f"{_x(seconds):.1f} {_y(share):.1f}")
    return "M" + "L".join(points)


def _axes() -> list[str]:
    parts = [f'<path d="M{LEFT} {TOP}V{_y(0):.1f}H{WIDTH - RIGHT}" class="axis" fill="none"/>']
    for seconds, mark in _MARKS.items():
        x = _x(seconds)
        parts.append(f'<path d="M{x:.1f} {_y(0):.1f}V{TOP}" class="grid"/>')
        parts.append(label(x - 14, HEIGHT - BOTTOM + 18, mark))
    for percent in range(0, 101, 25):
        parts.append(label(14, _y(percent / 100) + 4, f"{percent} %"))
    parts.append(label(WIDTH / 2 - 60, HEIGHT - 8, "answered within"))
    return parts
