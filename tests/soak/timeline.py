"""Which version was Production when, as whoever moved the alias knows it; and how far behind an answer was."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from tests.soak.callers import Answered

FOREVER = float("inf")


@dataclass(frozen=True)
class Reign:
    """A version was Production for certain no earlier than `since` and no later than `until` (monotonic seconds)."""

    version: int
    since: float
    until: float


@dataclass
class Timeline:
    """The moves of the alias, each between the moments before and after its call; and the registry's outages."""

    moves: list[tuple[int, float, float]] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)

    def moved(self, version: int, before: float, after: float) -> None:
        """The alias was moved to a version by a call that lasted from `before` to `after`."""
        self.moves.append((version, before, after))

    @property
    def reigns(self) -> list[Reign]:
        """Each version's time, from before the move to it until after the move from it."""
        between = [Reign(version, since, after) for (version, since, _), (_, _, after) in pairwise(self.moves)]
        version, since, _ = self.moves[-1]
        return [*between, Reign(version, since, FOREVER)]

    def behind(self, answers: Iterable[Answered]) -> list[float | None]:
        """For how long each answer's version had not been Production any more when it was asked for.

        In seconds in which the registry could be asked; 0.0 where it was Production at some moment of the request;
        None where it had never been Production by then.
        """
        by_version: dict[int | None, list[Reign]] = {}
        for reign in self.reigns:
            by_version.setdefault(reign.version, []).append(reign)
        return [self._behind(each, by_version.get(each.model_version, [])) for each in answers]

    def _behind(self, answer: Answered, reigns: list[Reign]) -> float | None:
        last = max((reign.until for reign in reigns if reign.since <= answer.received), default=None)
        if last is None:
            return None
        return max(0.0, answer.sent - last - self._away(last, answer.sent))

    def _away(self, since: float, until: float) -> float:
        return sum(max(0.0, min(until, end) - max(since, start)) for start, end in self.outages)
