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
WAIT, READ, WRITE = "wait for a thread", "gunicorn: read and parse HTTP", "gunicorn: WSGI, write the answer"
FLASK, IDENTITY, KEY = "Flask: contexts, routing, dispatch", "request id, clocks", "API key and its limit"
BODY, ENCODE, SCORE = "read and validate the body", "encode", "score (compiled trees, calibration)"
EXPLAIN, WORDS = "explain (exact Shapley values)", "reasons in words"
REST, JSON, KEEP = "decile, action, unknown fields", "answer as JSON", "request log: queue it"
METRICS, LINE = "metrics", "headers and log line"
STAGES = (
    WAIT, READ, FLASK, IDENTITY, KEY, BODY, ENCODE, SCORE, EXPLAIN, WORDS, REST, JSON, KEEP, METRICS, LINE, WRITE,
)  # fmt: skip


class StageClock:
    """Adds up the own time of stages over requests; a thread works on one request at a time."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._lock = threading.Lock()
        self._seen = 0
        self.count = 0
        self.seconds: dict[str, float] = {}

    def stage(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with its own time added to a stage of the request that the thread works on."""

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
        """Add to a stage of the thread's request."""
        request = self._local.request
        request[name] = request.get(name, 0.0) + seconds

    def begin(self) -> None:
        """A request begins in this thread."""
        self._local.request = {}

    def end(self) -> None:
        """It has ended: count it, unless it is among the first."""
        with self._lock:
            self._seen += 1
            if self._seen > WARM_UP:
                self.count += 1
                for name, seconds in self._local.request.items():
                    self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def _stack(self) -> list[float]:
        if not hasattr(self._local, "stack"):
            self._local.stack, self._local.request = [], {}
        stack: list[float] = self._local.stack
        return stack


def milliseconds_of(folder: Path) -> dict[str, float]:
    """The mean milliseconds of a request in each stage, over all workers that have ended."""
    found = [json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")]
    count = sum(each["count"] for each in found)
    return {stage: 1000 * sum(each["seconds"].get(stage, 0.0) for each in found) / count for stage in STAGES if count}
