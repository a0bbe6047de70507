"""The outcome of a look-up: what was found, what nobody has answered, and what stands in; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.resolver.known import FAMILIES, CachedRRset, Key, Known, other_family, unanswered
from dnssd.resolver.targets import Question, Targets


@dataclass(frozen=True, slots=True)
class LookupResult:
    """The outcome of a look-up.

    Attributes:
        found: All that is known now.
        failures: Questions that nobody answered, and that do not make all of it useless.
        in_part: Whether something was not answered that was known before, or belongs to it.
        cut: Whether there are more instances than are looked at.
        incomplete: Whether one address family of some target has not been asked for.
        missing: What could not be had, and was not known before.
    """

    found: Known
    failures: tuple[Unavailable, ...] = ()
    in_part: bool = False
    cut: bool = False
    incomplete: bool = False
    missing: tuple[Question, ...] = ()


class Unanswered:
    """What nobody has answered in a look-up.

    Args:
        found: What it has found; what stands in is put there.
        known: What was found before.
        targets: What it knows of addresses.

    Attributes:
        failed: What has failed just now.
        pausing: What has failed before, and is not asked for this time.
    """

    __slots__ = ("_found", "_known", "_targets", "failed", "pausing")

    def __init__(self, found: dict[Key, CachedRRset], known: Known, targets: Targets) -> None:
        self._found = found
        self._known = known
        self._targets = targets
        self.failed: dict[Key, tuple[Name, Unavailable]] = {}
        self.pausing: dict[Key, Name] = {}

    def result(
        self, open: Mapping[Key, Name], now: float, *, answered: bool, cut: bool
    ) -> LookupResult:
        """What has come of the look-up.

        Args:
            open: What is still being asked.
            now: Monotonic clock reading, in seconds.
            answered: Whether anything was answered, or is known for a while yet.
            cut: As for the result.

        Raises:
            Unavailable: Nothing was answered; or no endpoint has an address, and some question
                about one was not answered.
        """
        failures = tuple([error for _, error in self.failed.values()])
        if failures and not answered:
            raise failures[0]
        for key in open:
            if key not in self._found and key in self._known:
                self._found[key] = self._known[key]
        stood_in = [key for key in self.failed if self._do_without(key, now)]
        asked = [error for (_, rdtype), (_, error) in self.failed.items() if rdtype in FAMILIES]
        if asked and not self._has_address():
            raise asked[0]
        missing = tuple(self._missing(open))
        for name, rdtype in missing:
            key = name.key, rdtype
            if key not in self.pausing:
                self._found[key] = unanswered(self._known.get(key), now)
        return LookupResult(
            self._found,
            failures,
            in_part=bool(stood_in or missing or self.pausing),
            cut=cut,
            incomplete=self._targets.incomplete or any(t in FAMILIES for _, t in open),
            missing=missing,
        )

    def _do_without(self, key: Key, now: float) -> bool:
        """Nobody has answered this: whether what was known stands in."""
        if key[1] in FAMILIES and self._targets.do_without(key, self.failed):
            return False
        known = self._known.get(key)
        if known:
            self._found[key] = unanswered(known, now)
        return known is not None

    def _missing(self, open: Mapping[Key, Name]) -> Iterable[Question]:
        """What was not answered and was not known before."""
        failed = {key: name for key, (name, _) in self.failed.items()}
        for key, name in {**failed, **self.pausing, **open}.items():
            known = self._known.get(key)
            if known and known.expires_at > -inf:
                continue
            if key[1] not in FAMILIES or not (self._has(key) or self._has(other_family(key))):
                yield name, key[1]

    def _has(self, key: Key) -> bool:
        found = self._found.get(key)
        return found is not None and bool(found.values)

    def _has_address(self) -> bool:
        return any(one.values for (_, rdtype), one in self._found.items() if rdtype in FAMILIES)
