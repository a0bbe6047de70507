"""What a load makes of a weight. Pure: `load` reads it."""

from dataclasses import dataclass

from dnssd.checks import Check
from dnssd.errors import UsageError
from dnssd.names import shown

STEPS = 10  # that a weight has
STICKY = 0.75  # steps by which the load must differ before the weight follows
LEAST_PAUSE = 60.0  # seconds between two changes of a weight in DNS
EACH_MEMBER = 2.0  # seconds more for each member: all together write every other second at most


def step_for(load: float, former: int) -> int:
    """How many tenths of its weight a member is worth.

    Args:
        load: 0 for idle to 1 for busy.
        former: The tenths so far: they change only for a difference that is clear.
    """
    wanted = STEPS * (1 - min(1.0, max(0.0, load)))
    if abs(wanted - former) < STICKY:
        return former
    return max(1, round(wanted))


def weight_for(base: int, step: int) -> int:
    """A weight of so many tenths; one that is not 0 never becomes so."""
    return max(1, round(base * step / STEPS)) if base else 0


def pause_for(members: int) -> float:
    """Seconds between two changes of a weight, in an instance of so many members."""
    return max(LEAST_PAUSE, EACH_MEMBER * members)


@dataclass(slots=True)
class Weight:
    """A weight that follows the load, not too often.

    Attributes:
        base: Of an idle host.
        step: Tenths of it that are in DNS.
        changed_at: When that changed, in seconds.
    """

    base: int
    step: int = STEPS
    changed_at: float = float("-inf")

    @property
    def value(self) -> int:
        """The weight."""
        return weight_for(self.base, self.step)

    def heard(self, load: float, now: float, members: int) -> None:
        """Take note of a load."""
        step = step_for(load, self.step)
        if step != self.step and now - self.changed_at >= pause_for(members):
            self.step, self.changed_at = step, now


def check_kind(kind: str) -> Check | None:
    """The command of `exec:COMMAND`, None for the other kinds.

    Raises:
        UsageError: No such kind.
    """
    if kind in ("cpu", "psi"):
        return None
    if not kind.startswith("exec:"):
        raise UsageError(f"load {shown(kind)}: cpu, psi or exec:COMMAND is needed")
    return Check.parse(kind)
