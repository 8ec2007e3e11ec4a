"""A soak: callers ask while the alias moves and services come and go; what was seen is held against what is true."""

import os
import signal
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from churn.errors import RegistryUnavailable
from churn_api.following import JITTER
from churn_api.production import SECONDS_BETWEEN_LOOKS
from tests.soak.callers import Answered, Callers, Failed
from tests.soak.place import Place
from tests.soak.timeline import Timeline

SECONDS_BETWEEN_MOVES = 5.0
CALLERS = 50
# A worker looks every 2 s, a fifth more or less, and then loads: on a busy machine that takes its time too.
FOLLOW_SECONDS = SECONDS_BETWEEN_LOOKS * (1 + JITTER) + 9.0
WARM_SHARE = 1 / 3  # of a soak: every version was loaded, every buffer has had its size
MEMORY_GROWTH = 0.10  # of a worker's memory after warming up
Memory = dict[int, list[tuple[float, int]]]


@dataclass
class Soak:
    """One soak of a place. `seconds` is the time in which the alias moves and services come and go."""

    place: Place
    seconds: float
    pause: float = 0.0
    timeline: Timeline = field(default_factory=Timeline)
    memory: Memory = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.callers: Callers = self.place.callers(CALLERS, self.pause)
        self._moving = threading.Event()
        self._mover = threading.Thread(target=self._move, name="mover")

    def run(self, events: dict[float, Callable[[], None]]) -> None:
        """Let callers call and the alias move; each event happens at its share of the time."""
        self._promote(1)
        self._moving.set()
        self._mover.start()
        began = time.monotonic()
        for share, event in sorted(events.items()):
            self._watch(began + share * self.seconds)
            event()
        self._watch(began + self.seconds)
        self._moving.clear()
        self._mover.join()

    def stop_mlflow(self, seconds: float) -> None:
        """MLflow is away for so long."""
        began = time.monotonic()
        self.place.registry.server.stop()
        self.callers.wait(seconds)
        self.place.registry.server.start()
        self._is_back(began)

    def restart_postgres(self) -> None:
        """PostgreSQL restarts; MLflow, which keeps the registry in it, feels that too."""
        began = time.monotonic()
        self.place.restart_postgres()
        self._is_back(began)

    def _is_back(self, began: float) -> None:
        self.place.wait_for_registry()
        self.timeline.outages.append((began, time.monotonic()))

    def _move(self) -> None:
        """Move the alias every few seconds, each time to the next version."""
        for turn in count(1):
            due = time.monotonic() + SECONDS_BETWEEN_MOVES
            while time.monotonic() < due:
                if not self._moving.is_set():
                    return
                time.sleep(0.05)
            self._promote(1 + turn % len(self.place.expected))

    def _promote(self, version: int) -> None:
        """Through the project's own registry; while it is away, again until it is done: it may have been at any try."""
        before = time.monotonic()
        while True:
            try:
                self.place.registry.registry.promote(version)
            except RegistryUnavailable:
                time.sleep(0.2)
            else:
                self.timeline.moved(version, before, time.monotonic())
                return

    def _watch(self, until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            self.callers.wait(min(left, 1.0))
            for worker in self.place.workers:
                self.memory.setdefault(worker.pid, []).append((time.monotonic(), worker.memory_info().rss))

    def end(self) -> int:
        """SIGTERM to the whole server while everybody calls; returns its exit code."""
        process = self.place.api.process
        assert process is not None
        os.kill(process.pid, signal.SIGTERM)
        code = process.wait(30)
        self.callers.stop()
        return code


def growth(samples: list[tuple[float, int]]) -> float:
    """By which share a worker's memory grows over the time of the samples, by least squares."""
    times, sizes = [time for time, _ in samples], [size for _, size in samples]
    line = statistics.linear_regression(times, sizes)
    return line.slope * (times[-1] - times[0]) / statistics.fmean(sizes)


def warm(samples: list[tuple[float, int]], began: float, seconds: float) -> list[tuple[float, int]]:
    """The samples after warming up."""
    return [sample for sample in samples if sample[0] - began > WARM_SHARE * seconds]


def wrong_answers(soak: Soak) -> list[Answered]:
    """The answers that are not what the named version says of that customer."""
    expected = soak.place.expected
    return [
        each
        for each in _all_answers(soak.callers)
        if each.status != 200
        or each.model_version not in expected
        or each.churn_probability != expected[each.model_version][each.row]
    ]


def behind(soak: Soak) -> list[float]:
    """For each answer, how long its version had not been Production any more; a version that never was is an error."""
    found = soak.timeline.behind(_all_answers(soak.callers))
    assert None not in found
    return [each for each in found if each is not None]


def not_logged(soak: Soak) -> tuple[set[str], int, int]:
    """The answered requests that are not in the log; rows that were counted as dropped; rows that are there twice."""
    with soak.place.database.as_role("postgres").transaction() as connection:
        logged = [row["request_id"] for row in connection.execute("SELECT request_id FROM churn.api_requests")]
        counted = connection.execute("SELECT sum(dropped_count) AS dropped FROM churn.api_log_batches").fetchone()
    assert counted is not None
    answered = {each.request_id for each in _all_answers(soak.callers)}
    return answered - set(logged), int(counted["dropped"] or 0), len(logged) - len(set(logged))


def failures_since(callers: Callers, moment: float) -> list[Failed]:
    """The requests that failed after a moment."""
    return [each for each in callers.failed if each.at >= moment]


def _all_answers(callers: Callers) -> list[Answered]:
    return callers.answered + [each.retried for each in callers.failed if each.retried is not None]
