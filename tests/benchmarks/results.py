"""What a bench measured, as values: one record a process, and the JSON that holds them all."""

import json
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

Seconds = dict[str, float]


@dataclass(frozen=True)
class Measurement:
    """One process that was measured.

    `seconds` is the time without start-up, None where only the whole process can be timed; `children_mb` the peak
    of the largest process that it started itself; `steps` are the parts of the product's job, `stages` the costs of
    stages measured alone. Where a process does not tell its own peak, `peak_mb` is the larger of both.
    """

    size: int
    piece: str
    repetition: int
    seconds: float | None
    process_seconds: float
    peak_mb: float
    cpu_seconds: float
    children_mb: float = 0.0
    steps: Seconds = field(default_factory=dict)
    stages: dict[str, Seconds] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadRun:
    """One load on a server that answers single requests.

    `milliseconds` are percentiles of the latencies (p50 to max) and their mean, `late` the same of how late the caller
    itself was with requests that had a free connection; `cpu` is CPU seconds by whose they are.
    """

    piece: str
    mode: str
    repetition: int
    connections: int
    rate: float | None
    seconds: float
    answered: int
    errors: dict[str, int]
    milliseconds: Seconds
    late: Seconds
    cpu: Seconds


@dataclass(frozen=True)
class Check:
    """What was held against the published table, and whether it is right."""

    size: int
    piece: str
    passed: bool
    told: str


@dataclass
class Results:
    """One run of the bench. Repetition 0 is the first night of a database, which no median counts."""

    about: dict[str, Any]
    sizes: list[int]
    measurements: list[Measurement] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    loads: list[LoadRun] = field(default_factory=list)
    milliseconds: dict[str, Seconds] = field(default_factory=dict)  # of a request in each stage, by mode

    def of(self, size: int, piece: str) -> list[Measurement]:
        """The counted repetitions of a piece."""
        return [each for each in self.measurements if (each.size, each.piece) == (size, piece) and each.repetition]

    def first_night(self, size: int) -> Measurement | None:
        """The product's first run on a fresh database."""
        return next((each for each in self.measurements if each.size == size and not each.repetition), None)

    def median(self, size: int, piece: str, value: Callable[[Measurement], float | None]) -> float | None:
        """The median over repetitions of what was measured; None where nothing was."""
        return _median(value(each) for each in self.of(size, piece))

    def seconds(self, size: int, piece: str) -> float | None:
        """The median time without start-up."""
        return self.median(size, piece, lambda each: each.seconds)

    def process_seconds(self, size: int, piece: str) -> float | None:
        """The median time of the whole process."""
        return self.median(size, piece, lambda each: each.process_seconds)

    def peak_mb(self, size: int, piece: str) -> float | None:
        """The highest peak memory of any repetition."""
        return max((each.peak_mb for each in self.of(size, piece)), default=None)

    def children_mb(self, size: int, piece: str) -> float:
        """The highest peak of a process that the measured one started."""
        return max((each.children_mb for each in self.of(size, piece)), default=0.0)

    def steps(self, size: int, piece: str) -> Seconds:
        """The median time of each step of the product's job."""
        found = [each.steps for each in self.of(size, piece)]
        return {name: statistics.median(each.get(name, 0.0) for each in found) for name in (found[0] if found else ())}

    def stages(self, size: int) -> dict[str, Seconds]:
        """The median costs of each stage that was measured alone."""
        found: dict[str, list[Seconds]] = {}
        for each in self.measurements:
            for stage, cost in each.stages.items() if each.size == size else ():
                found.setdefault(stage, []).append(cost)
        return {
            stage: {name: statistics.median(cost[name] for cost in costs) for name in costs[0]}
            for stage, costs in found.items()
        }

    def loads_of(self, piece: str, mode: str) -> list[LoadRun]:
        """The repetitions of a load."""
        return [each for each in self.loads if (each.piece, each.mode) == (piece, mode)]

    def latency(self, piece: str, mode: str, percentile: str) -> float | None:
        """The median over repetitions of a percentile of the latencies, in milliseconds."""
        return _median(each.milliseconds.get(percentile) for each in self.loads_of(piece, mode))

    def rate(self, piece: str, mode: str) -> float | None:
        """The median number of answers a second."""
        return _median(each.answered / each.seconds for each in self.loads_of(piece, mode))

    @property
    def wrong(self) -> list[Check]:
        """The checks that failed."""
        return [each for each in self.checks if not each.passed]

    def save(self, path: Path) -> None:
        """Write everything as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        found = json.loads(path.read_text("utf-8"))
        measurements = [Measurement(**each) for each in found.pop("measurements")]
        checks = [Check(**each) for each in found.pop("checks")]
        loads = [LoadRun(**each) for each in found.pop("loads", ())]
        return cls(**found, measurements=measurements, checks=checks, loads=loads)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
