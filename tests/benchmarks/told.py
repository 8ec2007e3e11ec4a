"""What a measured process tells the bench: one JSON object on its last line of stdout."""

import inspect
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from tests.benchmarks.launcher import KIB_A_UNIT


class Clock:
    """The time without start-up: from the moment that everything is imported and loaded."""

    def __init__(self) -> None:
        self._ready = time.monotonic()

    @property
    def seconds(self) -> float:
        """The time since then."""
        return time.monotonic() - self._ready

    def tell(self, rows: int, **more: Any) -> None:
        """Report it; the last thing that a measured process does."""
        memory = {"worker_mb": _peak_mb(resource.RUSAGE_SELF), "children_mb": _peak_mb(resource.RUSAGE_CHILDREN)}
        told = {"seconds": self.seconds, "rows": rows, **memory, **more}
        sys.stdout.write(f"\n{json.dumps(told)}\n")
        sys.stdout.flush()


def _peak_mb(who: int) -> float:
    """Peak resident memory of this process, or of the largest of its children that have ended."""
    return resource.getrusage(who).ru_maxrss * KIB_A_UNIT / 1024


def last_told(text: str) -> dict[str, Any]:
    """What `Clock.tell` wrote at the end of a process's output."""
    return dict(json.loads(text.strip().rpartition("\n")[2]))


@contextmanager
def timed_steps(module: ModuleType, but: str) -> Iterator[dict[str, float]]:
    """Time the jobs that a module calls by name, other than `but`, while the block runs; not a step within a step."""
    seconds: dict[str, float] = {}
    running: list[str] = []
    steps = {name: step for name, step in vars(module).items() if name != but and _is_step(name, step)}
    for name, step in steps.items():
        setattr(module, name, _timed(name, step, seconds, running))
    try:
        yield seconds
    finally:
        for name, step in steps.items():
            setattr(module, name, step)


def _is_step(name: str, step: object) -> bool:
    return inspect.isfunction(step) and step.__module__.startswith("churn.jobs.") and not name.startswith("_")


def _timed(name: str, step: Callable[..., Any], seconds: dict[str, float], running: list[str]) -> Callable[..., Any]:
    def run(*arguments: Any, **named: Any) -> Any:
        if running:
            return step(*arguments, **named)
        running.append(name)
        started = time.monotonic()
        try:
            return step(*arguments, **named)
        finally:
            seconds[name] = seconds.get(name, 0.0) + time.monotonic() - started
            running.pop()

    return run
