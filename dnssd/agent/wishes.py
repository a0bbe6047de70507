"""What an agent wants to be in DNS, and when it tries again. Pure.

health        gate      in DNS
starting      any       as it is
passing       in        yes
passing       drained   yes, behind all others
passing       out       no
failing       any       no
maintenance   any       no
"""

from dataclasses import dataclass
from typing import Literal

from dnssd.agent.health import Health

Gate = Literal["in", "drained", "out"]
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds, after failures that may pass by themselves
REFUSED_PAUSE = 60.0  # seconds, after refusals: somebody has to do something first


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be in DNS.

    Attributes:
        published: Whether the member is there.
        weight: Its weight.
        drained: Whether it stands behind all others, for who has no other.
    """

    published: bool
    weight: int = 0
    drained: bool = False


OUT = Wish(published=False)
DRAINED = Wish(published=True, drained=True)


def wish_for(health: Health, gate: Gate, weight: int) -> Wish | None:
    """What is to be in DNS; None to leave that as it is.

    Args:
        health: The service's.
        gate: Whether the host is to take part.
        weight: What the service is to have.
    """
    if gate == "out":
        return OUT
    if health.wanted is None:
        return None
    if not health.wanted:
        return OUT
    return DRAINED if gate == "drained" else Wish(True, weight)


def pause_after(failures: int, refused: bool, draw: float) -> float:
    """Seconds until a write is tried again.

    Args:
        failures: In a row, 1 or more.
        refused: Whether trying alone can help.
        draw: A random number in [0, 1): hosts that fail together part.
    """
    if refused:
        return REFUSED_PAUSE * (1 + draw)
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures, 10))
    return longest * (0.5 + draw / 2)
