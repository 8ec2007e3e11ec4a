"""Where the milliseconds of a request go: the stages of the endpoint, and a clock for them (see timed_endpoint).

A stage's time is its own: without the stages within it, so that all of them add up to the whole. It is wall time in
the worker's thread: under load it holds the waits for the interpreter's lock.
"""

import json
import threading
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

FOLDER = "CHURN_BENCH_STAGES"
WARM_UP = 100  # requests of a worker that are not counted
FIND, LOOP, WRITE = "find the request on its socket", "the loop, the groups, the headers", "send the answer"
IDENTITY, KEY, BODY = "request id", "API key and its limit", "read and validate the body"
ENCODE, SCORE, EXPLAIN = "encode", "score (compiled trees, calibration)", "explain (exact Shapley values)"
WORDS, REST, JSON = "reasons in words", "decile, action, unknown fields", "answer as JSON"
KEEP, METRICS, LINE = "request log: queue it", "metrics", "log line"
STAGES = (FIND, KEY, IDENTITY, BODY, ENCODE, SCORE, EXPLAIN, WORDS, REST, JSON, KEEP, METRICS, LINE, WRITE, LOOP)


class StageClock:
    """Adds up the own time of stages over requests, which a thread works on in groups."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._lock = threading.Lock()
        self._seen = 0
        self.count = 0
        self.seconds: dict[str, float] = {}

    def stage(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with its own time added to a stage of the group that the thread works on."""

        @wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            stack = self._stack()
            began = time.perf_counter()
            stack.append(0.0)
            try:
                return function(*arguments, **named)
            finally:
                whole = time.perf_counter() - began
                self.add(name, whole - stack.pop())
                if stack:
                    stack[-1] += whole

        return timed

    def add(self, name: str, seconds: float) -> None:
        """Add to a stage of the thread's group."""
        group = self._local.group
        group[name] = group.get(name, 0.0) + seconds

    def end(self, request_count: int) -> None:
        """So many requests of the thread have been answered: count them, unless they are among the first."""
        group, self._local.group = self._local.group, {}
        with self._lock:
            self._seen += request_count
            if self._seen > WARM_UP:
                self.count += request_count
                for name, seconds in group.items():
                    self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def _stack(self) -> list[float]:
        if not hasattr(self._local, "stack"):
            self._local.stack, self._local.group = [], {}
        stack: list[float] = self._local.stack
        return stack


def milliseconds_of(folder: Path) -> dict[str, float]:
    """The mean milliseconds of a request in each stage, over all workers that have ended."""
    found = [json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")]
    count = sum(each["count"] for each in found)
    return {stage: 1000 * sum(each["seconds"].get(stage, 0.0) for each in found) / count for stage in STAGES if count}
