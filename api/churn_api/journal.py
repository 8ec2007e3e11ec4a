"""What was answered, on its way to the database: beside the requests, bounded, and counted where it is lost.

A request leaves a frozen value in a queue, and a thread writes the queue to churn.api_requests in batches. While the
database is away the queue fills up to its limit; what comes then is dropped, and the number is written with the next
batch. A worker that is told to end writes what it holds; one that is killed loses what it had not written yet, at
most SECONDS_BETWEEN_WRITES of answers where the database is there, and another worker counts that as dropped (held.py).
"""

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from flask import Flask, Response, current_app, g, request

from churn.core.api_keys import ApiKey
from churn.db import api_requests
from churn.db.api_requests import Answer, Batch, LoggedRequest
from churn.db.database import Database
from churn.errors import DatabaseFull, DatabaseUnavailable, LogRefused
from churn.policy import Policy
from churn_api.held import FOLDER, HeldRows, losses

SECONDS_BETWEEN_WRITES = 0.5
SECONDS_BETWEEN_LAST_TRIES = 0.2
SECONDS_FOR_THE_LAST = 3.0  # below gunicorn's graceful_timeout, with what it waits for idle connections
# Asked every few seconds, or with each page, and say nothing of customers.
UNKEPT = frozenset({"/health", "/ready", "/metrics", "/static/<path:name>"})
TURNED_AWAY = frozenset((401, 403, 429))
ROWS_IN_A_BATCH = 500  # or one request with more: small, so that a write does not hold the interpreter for long
logger = logging.getLogger("churn_api.journal")

Complete = Callable[[LoggedRequest], LoggedRequest]


@dataclass(frozen=True)
class JournalStanding:
    """Rows of this worker: written, waiting, and lost since its start."""

    written: int
    waiting: int
    dropped: int


class Journal:
    """Takes requests from many threads and writes them from one.

    `limit` is the number of rows that may wait. `complete` adds to a request, in the writing thread, what need not be
    there for the answer: a shadow's score. `held_folder` is where the workers of one server tell what they hold; None:
    a killed process' loss is not counted.
    """

    def __init__(
        self,
        database: Database,
        limit: int,
        complete: Complete = lambda request: request,
        seconds_between_writes: float = SECONDS_BETWEEN_WRITES,
        held_folder: Path | None = None,
    ) -> None:
        self._database: Database = database.kept()
        self._limit = limit
        self._complete = complete
        self._pause = seconds_between_writes
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._held_folder = held_folder
        self._own = HeldRows(held_folder, self._worker) if held_folder is not None else None
        self._lock = threading.Lock()
        self._queue: deque[LoggedRequest] = deque()
        self._unwritten: tuple[Batch, int] | None = None  # a batch that is tried, and the rows of the queue in it
        self._held = self._written = self._dropped = self._dropped_untold = 0
        self._limited_untold = self._denied_untold = 0
        self._is_failing = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)

    def start(self) -> None:
        """Start writing. Call it once, in the process that answers: a thread does not survive a fork."""
        self._thread.start()

    @property
    def standing(self) -> JournalStanding:
        """How many rows were written, wait and were lost."""
        with self._lock:
            return JournalStanding(self._written, self._held, self._dropped)

    def keep(self, request: LoggedRequest) -> None:
        """Take a request, or drop and count it where too many wait. Never waits for the database."""
        with self._lock:
            if self._own is not None:
                self._own.take(request.row_count)
            if self._held + request.row_count > self._limit:
                self._drop(request.row_count)
                return
            self._held += request.row_count
            self._queue.append(request)

    def turn_away(self, limited: bool) -> None:
        """Count a request that was not let in: one of a key that asked too much, or one without a key for it."""
        with self._lock:
            self._limited_untold += limited
            self._denied_untold += not limited

    def stop(self, seconds: float) -> None:
        """Write what is held and stop; give up after `seconds`, counting in the log what is lost."""
        self._deadline = time.monotonic() + seconds
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        lost = self.standing.waiting
        if self._own is not None and not self._thread.is_alive():
            self._own.close()
        if lost:
            logger.error("%d rows of the request log could not be written before the end and are lost.", lost)

    def _run(self) -> None:
        while not self._stopping.wait(self._pause):
            if self._write_all():
                self._count_losses()
        while not self._write_all() and time.monotonic() < self._deadline:
            time.sleep(SECONDS_BETWEEN_LAST_TRIES)
        self._count_losses()

    def _write_all(self) -> bool:
        """Write until nothing waits: True. False where the database is away; what is unwritten is tried again."""
        while (taken := self._unwritten or self._take()) is not None:
            self._unwritten = taken
            batch, row_count = taken
            try:
                api_requests.write(self._database, batch)
            except (DatabaseUnavailable, DatabaseFull) as error:
                self._tell(error.message)
                return False
            except LogRefused as error:
                self._tell(str(error))
                self._settle(batch, row_count, written=False)
            else:
                self._is_failing = False
                self._settle(batch, row_count, written=True)
        return True

    def _take(self) -> tuple[Batch, int] | None:
        """The next batch and the number of its rows; None where nothing waits and nothing counted is untold."""
        with self._lock:
            requests, row_count = [], 0
            while self._queue and row_count < ROWS_IN_A_BATCH:
                requests.append(self._queue.popleft())
                row_count += requests[-1].row_count
            counts = (self._dropped_untold, self._limited_untold, self._denied_untold)
            self._dropped_untold = self._limited_untold = self._denied_untold = 0
        if not requests and not any(counts):
            return None
        batch = Batch(uuid4(), self._worker, [self._complete(request) for request in requests], *counts)
        if self._own is not None:
            self._own.begin(batch.batch_id, row_count + batch.dropped_count)
        return batch, row_count

    def _count_losses(self) -> None:
        """Count what workers that were killed have taken along as dropped."""
        if self._held_folder is None:
            return
        try:
            with losses(self._held_folder) as found:
                for loss in found:
                    lost = api_requests.count_loss(self._database, loss)
                    logger.error("%d rows of the request log were lost with the worker %s.", lost, loss.worker)
                    with self._lock:
                        self._dropped += lost
        except (DatabaseUnavailable, DatabaseFull, LogRefused) as error:
            self._tell(str(error))

    def _settle(self, batch: Batch, row_count: int, written: bool) -> None:
        with self._lock:
            self._unwritten = None
            self._held -= row_count
            if self._own is not None:
                self._own.settle(row_count + batch.dropped_count if written else 0)
            if written:
                self._written += row_count
            else:
                self._dropped_untold += batch.dropped_count
                self._limited_untold += batch.limited_count
                self._denied_untold += batch.denied_count
                self._drop(row_count)

    def _drop(self, row_count: int) -> None:
        """Count rows as lost. The lock is held."""
        self._dropped += row_count
        self._dropped_untold += row_count

    def _tell(self, message: str) -> None:
        """Log a failure once, until a write has succeeded again."""
        if not self._is_failing:
            logger.warning("%s Answers go on; their log waits, up to %d rows.", message, self._limit)
        self._is_failing = True


def keep_requests(app: Flask, database: Database | None, complete: Complete) -> None:
    """Write every request that `app` lets in to the log of `database`; None: nothing is kept."""
    app.extensions["journal"] = None
    if database is not None:
        policy: Policy = app.extensions["policy"]
        held_folder = Path(os.environ[FOLDER]) if FOLDER in os.environ else None
        app.extensions["journal"] = journal = Journal(
            database, policy.api_log_buffer_count, complete, held_folder=held_folder
        )
        journal.start()
        app.after_request(_keep)


def close(app: Flask) -> None:
    """Write what `app` holds for the log, before its process ends."""
    journal: Journal | None = app.extensions["journal"]
    if journal is not None:
        journal.stop(SECONDS_FOR_THE_LAST)


def _keep(response: Response) -> Response:
    """Note a request. One who was not let in is only counted: a flood of them would push out what was answered."""
    if request.url_rule is not None and request.url_rule.rule not in UNKEPT:
        if g.get("let_in"):
            current_app.extensions["journal"].keep(_logged(request.url_rule.rule, response.status_code))
        elif response.status_code in TURNED_AWAY:
            current_app.extensions["journal"].turn_away(limited=response.status_code == 429)
    return response


def _logged(route: str, status: int) -> LoggedRequest:
    arm, version = g.get("arm", "production"), g.get("model_version")
    caller: ApiKey | None = g.get("caller")
    return LoggedRequest(
        at=datetime.now(UTC),
        request_id=g.request_id,
        route=route,
        status=status,
        milliseconds=(time.perf_counter() - g.began) * 1000,
        key_id=caller.key_id if caller is not None else None,
        challenger_version=g.get("challenger_version"),
        problem=g.get("problem") if status >= 400 else None,
        answers=tuple(
            Answer(customer_id, record, probability, risk_level, version, arm)
            for customer_id, record, probability, risk_level in g.get("answered", ())
        ),
    )
