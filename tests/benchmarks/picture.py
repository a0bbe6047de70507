"""Joined hosts over time, as an SVG."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from svg import label, save

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 50, 20, 40, 45
COLORS = ("#10a37f", "#d97706", "#e5484d")


def draw(
    path: Path, curves: Mapping[str, Sequence[float]], lost: Mapping[str, int], floor: float
) -> None:
    """Draw one curve for each strategy.

    Args:
        path: Where to write it.
        curves: By strategy: when each host's run returned, in seconds, sorted.
        lost: By strategy: hosts that are not in the zone at the end.
        floor: Seconds; a dotted line: one request each.
    """
    longest = max(times[-1] for times in curves.values())
    most = max(map(len, curves.values()))

    def x(seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / longest

    def y(hosts: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * hosts / most

    title = f"{most} hosts join one instance within 5 s, 5 requests/s"
    parts = [
        label(LEFT, 20, title),
        *_axes(x, y, longest, most),
        f'<path d="M{x(floor):.1f} {y(0):.1f}V{TOP}" class="axis" stroke-dasharray="2 4"/>',
        label(x(floor) - 46, TOP - 5, "one request each"),
    ]
    for number, (name, times) in enumerate(curves.items()):
        color = COLORS[number]
        steps = "".join(f"H{x(at):.1f}V{y(done + 1):.1f}" for done, at in enumerate(times))
        parts.append(f'<path d="M{x(0):.1f} {y(0):.1f}{steps}" fill="none" stroke="{color}" ')
        parts.append('stroke-width="2"/>')
        kept = f"{name}: {lost[name]} lost" if lost[name] else f"{name}: none lost"
        parts.append(label(WIDTH - 290, HEIGHT - 110 + 18 * number, kept, f'style="fill: {color}"'))
    save(path, WIDTH, HEIGHT, title, parts)


def _axes(x, y, longest: float, most: int) -> list[str]:  # type: ignore[no-untyped-def] # the scales above
    parts = [f'<path d="M{LEFT} {TOP}V{y(0):.1f}H{WIDTH - RIGHT}" class="axis" fill="none"/>']
    step = 50 if longest > 200 else 20
    for seconds in range(0, int(longest) + 1, step):
        parts.append(label(x(seconds) - 6, HEIGHT - BOTTOM + 18, f"{seconds}"))
    for hosts in range(0, most + 1, 50):
        parts.append(label(14, y(hosts) + 4, f"{hosts}"))
    parts.append(label(WIDTH / 2, HEIGHT - 8, "seconds"))
    return parts
