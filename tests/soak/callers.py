"""Fifty callers at once who keep their connections, ask again and again, and write down what became of each request.

They live in one thread over select: what they measure is what was answered, not how fast. A request whose connection
ends before its answer has failed; it is asked once more on a new connection, as a caller would.
"""

import json
import select
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from tests.benchmarks.wire import Address, Answer, CutOff, Wire, request_of

CONNECT_SECONDS = 60.0  # a server that starts anew listens again by then
RETRY_SECONDS = 0.05


@dataclass(frozen=True)
class Answered:
    """One answer: when it was asked for and had (monotonic seconds), and what it says."""

    row: int
    sent: float
    received: float
    request_id: str
    status: int
    model_version: int | None
    churn_probability: float | None


@dataclass(frozen=True)
class Failed:
    """A request without a whole answer. `port` is the caller's; `on_new`: the connection had answered nothing yet.

    `began`: some of the answer had come. `retried` is how the second try ended, None where there was none.
    """

    row: int
    sent: float
    at: float
    request_id: str
    port: int
    on_new: bool
    began: bool
    retried: Answered | None = None


@dataclass
class _Pending:
    row: int
    sent: float
    request_id: str
    first: Failed | None


@dataclass
class Callers:
    """`count` callers of `path`, each with a pause of `pause` seconds between an answer and the next request."""

    address: Address
    path: str
    headers: dict[str, str]
    records: list[dict[str, Any]]
    run: str
    count: int = 50
    pause: float = 0.0
    answered: list[Answered] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._bodies = [json.dumps(record).encode() for record in self.records]
        self._stopping = threading.Event()
        self._asked = self._cut_off_count = 0
        self._waiting: dict[Wire, _Pending] = {}
        self._answers_of: dict[Wire, int] = {}
        self._idle: deque[tuple[float, Wire]] = deque()
        self._again: deque[_Pending] = deque()
        self._without: deque[tuple[float, float]] = deque()  # since when, and when to try
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._call, name="callers")

    def __enter__(self) -> "Callers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ask no more; returns when what was asked is answered. Raises what the callers ran into."""
        self._stopping.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def wait(self, seconds: float) -> None:
        """Let them call for so long. Raises at once what they ran into."""
        self._thread.join(seconds)
        if self._error is not None:
            raise self._error

    def wait_for_retries(self, seconds: float) -> None:
        """Return when every request that failed has been asked again and answered, or failed again."""
        deadline = time.monotonic() + seconds
        while len(self.failed) < self._cut_off_count:
            assert time.monotonic() < deadline, "requests that failed were not asked again"
            self.wait(0.1)

    def _call(self) -> None:
        try:
            self._without.extend([(time.monotonic(), 0.0)] * self.count)
            while not self._stopping.is_set() or self._waiting:
                if not self._stopping.is_set():
                    self._connect_who_may()
                    self._ask_who_may()
                self._take()
        except BaseException as error:  # noqa: BLE001 - told to the test, in its own thread
            self._error = error
        finally:
            for wire in (*self._waiting, *(wire for _, wire in self._idle)):
                wire.close()

    def _connect_who_may(self) -> None:
        """Try to connect whoever has no connection; between two servers nobody listens, so it is tried again."""
        for _ in range(len(self._without)):
            since, due = self._without.popleft()
            if due > time.monotonic():
                self._without.append((since, due))
                continue
            try:
                wire = Wire(self.address)
            except OSError:
                if time.monotonic() - since > CONNECT_SECONDS:
                    raise
                self._without.append((since, time.monotonic() + RETRY_SECONDS))
                continue
            self._answers_of[wire] = 0
            if self._again:
                self._ask(wire, self._again.popleft())
            else:
                self._idle.append((time.monotonic() + self.pause, wire))

    def _ask_who_may(self) -> None:
        while self._idle and self._idle[0][0] <= time.monotonic():
            _, wire = self._idle.popleft()
            self._ask(wire, self._new())

    def _new(self) -> _Pending:
        self._asked += 1
        return _Pending(self._asked % len(self._bodies), 0.0, f"{self.run}-{self._asked}", None)

    def _ask(self, wire: Wire, pending: _Pending) -> None:
        pending.sent = time.monotonic()
        self._waiting[wire] = pending
        named = self.headers | {"X-Request-ID": pending.request_id}
        try:
            wire.send(request_of(self.address, self.path, self._bodies[pending.row], named))
        except CutOff as cut:
            self._cut_off(wire, cut)

    def _take(self) -> None:
        pause = RETRY_SECONDS if self._without or not self._idle else self._idle[0][0] - time.monotonic()
        ready, _, _ = select.select(list(self._waiting), (), (), min(max(pause, 0.0), RETRY_SECONDS))
        for wire in ready:
            try:
                answer = wire.receive()
            except CutOff as cut:
                self._cut_off(wire, cut)
                continue
            if answer is not None:
                self._note(wire, answer)

    def _note(self, wire: Wire, answer: Answer) -> None:
        pending = self._waiting.pop(wire)
        said = json.loads(answer.body)
        found = Answered(
            pending.row, pending.sent, time.monotonic(), pending.request_id, answer.status, said.get("model_version"),
            said.get("churn_probability"),
        )  # fmt: skip
        assert said["request_id"] == pending.request_id
        if pending.first is not None:
            self.failed.append(replace(pending.first, retried=found))
        else:
            self.answered.append(found)
        self._answers_of[wire] += 1
        if answer.is_last:
            self._close(wire)
            self._reconnect()
        else:
            self._idle.append((time.monotonic() + self.pause, wire))

    def _cut_off(self, wire: Wire, cut: CutOff) -> None:
        pending = self._waiting.pop(wire)
        failed = Failed(
            pending.row, pending.sent, time.monotonic(), pending.request_id, wire.port, self._answers_of[wire] == 0,
            cut.began,
        )  # fmt: skip
        self._close(wire)
        self._cut_off_count += pending.first is None
        if pending.first is not None or self._stopping.is_set():
            self.failed.append(pending.first or failed)
        else:
            self._again.append(_Pending(pending.row, 0.0, f"{pending.request_id}-again", failed))
        self._reconnect()

    def _reconnect(self) -> None:
        self._without.append((time.monotonic(), 0.0))

    def _close(self, wire: Wire) -> None:
        del self._answers_of[wire]
        wire.close()
