"""Load from a process of its own, with nothing but the standard library: `python -m tests.benchmarks.load JOB.json`.

Open loop: requests are due at fixed moments whatever the server does, and a latency runs from the moment that a
request was DUE, not from when a connection was free to send it. So a server that stalls pays for everybody who would
have asked meanwhile (Gil Tene's "coordinated omission"; his wrk2 measures so). Closed loop: each connection asks again
as soon as it has its answer, which shows the throughput at saturation. Answers are kept and checked after the end,
so that checking takes no time from the server.
"""

import gc
import json
import math
import select
import sys
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.wire import Address, Answer, CutOff, Wire, request_of

ANSWER_SECONDS = 10.0  # after the last request; what has not come by then is an error


@dataclass
class Taken:
    """What one load saw: seconds to each answer, the answers by the number of the row asked for, and errors."""

    latencies: list[float] = field(default_factory=list)
    answers: list[tuple[int, Answer]] = field(default_factory=list)
    late: list[float] = field(default_factory=list)  # how late a request was sent that had a free connection
    errors: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def failed(self, what: str, count: int = 1) -> None:
        """Count an error."""
        self.errors[what] = self.errors.get(what, 0) + count


class Connections:
    """The connections of a load: which are free, and which wait for an answer, since when it counts."""

    def __init__(self, address: Address, count: int, requests: list[bytes], taken: Taken) -> None:
        self._address, self._requests, self._taken = address, requests, taken
        self.free = deque(Wire(address) for _ in range(count))
        self.waiting: dict[Wire, tuple[int, float]] = {}
        self._next = 0

    def ask(self, since: float) -> None:
        """Ask for the next row on a free connection; its latency runs from `since`."""
        wire, number = self.free.popleft(), self._next % len(self._requests)
        self._next += 1
        self.waiting[wire] = number, since
        try:
            wire.send(self._requests[number])
        except CutOff:
            self._replace(wire, "the connection was closed before the request")

    def take(self, seconds: float) -> None:
        """Take the answers that come within `seconds`, or the first of them."""
        ready, _, _ = select.select(list(self.waiting), (), (), max(seconds, 0.0))
        for wire in ready:
            try:
                answer = wire.receive()
            except CutOff as cut:
                self._replace(wire, str(cut))
                continue
            if answer is not None:
                self._note(wire, answer)

    def close(self) -> None:
        """End all connections; who still waits has no answer."""
        if self.waiting:
            self._taken.failed("no answer in time", len(self.waiting))
        for wire in (*self.free, *self.waiting):
            wire.close()

    def _note(self, wire: Wire, answer: Answer) -> None:
        number, since = self.waiting.pop(wire)
        self._taken.latencies.append(time.perf_counter() - since)
        self._taken.answers.append((number, answer))
        if answer.is_last:
            wire.close()
            wire = Wire(self._address)
        self.free.append(wire)

    def _replace(self, wire: Wire, error: str) -> None:
        self._taken.failed(error)
        del self.waiting[wire]
        wire.close()
        self.free.append(Wire(self._address))


def open_loop(connections: Connections, taken: Taken, rate: float, seconds: float) -> None:
    """`rate` requests a second, evenly spaced; a request that finds no free connection waits for one."""
    due = deque(number / rate for number in range(int(rate * seconds)))
    began = time.perf_counter()
    while due:
        now = time.perf_counter() - began
        was_free = bool(connections.free)
        while due and due[0] <= now and connections.free:
            moment = due.popleft()
            if was_free:
                taken.late.append(now - moment)
            connections.ask(began + moment)
        blocked = not connections.free  # only an answer makes room then
        connections.take(ANSWER_SECONDS if blocked or not due else due[0] - (time.perf_counter() - began))
    _drain(connections)
    taken.seconds = time.perf_counter() - began


def closed_loop(connections: Connections, taken: Taken, seconds: float) -> None:
    """Every connection asks again at once."""
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        while connections.free:
            connections.ask(time.perf_counter())
        connections.take(ANSWER_SECONDS)
    taken.seconds = time.perf_counter() - began
    _drain(connections)


def _drain(connections: Connections) -> None:
    deadline = time.perf_counter() + ANSWER_SECONDS
    while connections.waiting and time.perf_counter() < deadline:
        connections.take(deadline - time.perf_counter())


def probability_of(answer: Answer, version: int | None) -> float | None:
    """The probability in an answer: ours, of that model version, or MLflow's; None where it is neither."""
    if answer.status != 200:
        return None
    try:
        said = json.loads(answer.body)
        if version is None:
            (probability,) = said["predictions"]
            return float(probability)
        return float(said["churn_probability"]) if said["model_version"] == version else None
    except (ValueError, KeyError, TypeError):
        return None


def check(taken: Taken, expected: list[float], version: int | None) -> None:
    """Count every answer that is not the model's own probability of the row that was asked for, to the last bit."""
    for number, answer in taken.answers:
        if answer.status != 200:
            taken.failed(f"status {answer.status}")
        elif probability_of(answer, version) != expected[number]:
            taken.failed("another answer than the model's")


def percentiles(latencies: Iterable[float]) -> dict[str, float]:
    """Milliseconds: the smallest latency that at least such a share does not exceed; and the mean."""
    ordered = sorted(latencies)
    if not ordered:
        return {}
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    found = {name: 1000 * ordered[math.ceil(share * len(ordered)) - 1] for name, share in at.items()}
    return found | {"mean": 1000 * sum(ordered) / len(ordered)}


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job: {address, path, headers, bodies, expected, version, connections, rate or null, seconds}."""
    address: Address = (job["address"][0], job["address"][1])
    requests = [request_of(address, job["path"], body.encode(), job["headers"]) for body in job["bodies"]]
    taken = Taken()
    connections = Connections(address, job["connections"], requests, taken)
    gc.disable()
    before = time.process_time()
    if job["rate"]:
        open_loop(connections, taken, job["rate"], job["seconds"])
    else:
        closed_loop(connections, taken, job["seconds"])
    cpu = time.process_time() - before
    connections.close()
    check(taken, job["expected"], job["version"])
    return {
        "seconds": taken.seconds,
        "answered": len(taken.answers),
        "errors": taken.errors,
        "milliseconds": percentiles(taken.latencies),
        "late": percentiles(taken.late),
        "cpu_seconds": cpu,
    }


if __name__ == "__main__":
    json.dump(run(json.loads(Path(sys.argv[1]).read_text("utf-8"))), sys.stdout)
