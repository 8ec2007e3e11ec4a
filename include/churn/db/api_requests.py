"""The log of the API's requests, as a worker writes it: in batches, each of them once."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg

from churn.core.arms import Arm
from churn.db.database import Connection, Database, query
from churn.errors import DatabaseUnavailable, LogRefused

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Answer:
    """What was answered about one customer, or by a shadow that did not answer.

    `inputs` are the given fields by their names in the extract; the probability is 0..1.
    """

    customer_id: str | None
    inputs: Mapping[str, Any]
    churn_probability: float | None
    risk_level: str | None
    model_version: int | None
    arm: Arm | None


@dataclass(frozen=True)
class LoggedRequest:
    """One request and its answers: one, many of a batch, or none where it was refused.

    `milliseconds` is the time in the worker. `challenger_version` is the version that ran beside Production where the
    request was put into an arm; `problem` is the last part of the problem document's type where one was answered.
    """

    at: datetime
    request_id: str
    route: str
    status: int
    milliseconds: float
    key_id: str | None
    challenger_version: int | None
    answers: tuple[Answer, ...]
    problem: str | None = None

    @property
    def row_count(self) -> int:
        """The rows that it takes in the log."""
        return max(1, len(self.answers))


@dataclass(frozen=True)
class Batch:
    """Requests that one worker writes together; the same id is written once, however often it is tried.

    Since its batch before, the worker has lost `dropped_count` rows and has turned away `limited_count` requests of
    keys that asked too much, and `denied_count` without a key for what they asked.
    """

    batch_id: UUID
    worker: str
    requests: Sequence[LoggedRequest]
    dropped_count: int
    limited_count: int = 0
    denied_count: int = 0


@dataclass(frozen=True)
class Loss:
    """What a worker held that is gone: `row_count` rows, of which `tried_count` were in the batch `tried_id`.

    Whether that batch was written the worker did not live to know.
    """

    loss_id: UUID
    worker: str
    row_count: int
    tried_id: UUID | None
    tried_count: int


def write(database: Database, batch: Batch) -> None:
    """Write a batch in one transaction, unless it was written before.

    Raises DatabaseUnavailable and DatabaseFull where trying again may help, LogRefused where it does not.
    """
    with _writing(database) as connection:
        _write(connection, batch)


def count_loss(database: Database, loss: Loss) -> int:
    """Count what a worker took along as dropped, once however often it is told; returns the rows that are lost.

    Raises what `write` raises.
    """
    with _writing(database) as connection:
        lost = loss.row_count
        if loss.tried_id is not None and not _begin(connection, loss.tried_id, loss.worker, 0, 0):
            lost -= loss.tried_count  # it was written; where it was not, it never will be now
        if lost:
            _begin(connection, loss.loss_id, loss.worker, 0, lost)
    return lost


@contextmanager
def _writing(database: Database) -> Iterator[Connection]:
    try:
        with database.transaction() as connection:
            connection.execute("SET LOCAL statement_timeout = '10s'")  # what does not get on is taken for away
            yield connection
    except psycopg.OperationalError as error:  # a statement that was too slow, a deadlock
        raise DatabaseUnavailable(f"The request log could not be written: {error}.", "It is tried again.") from error
    except psycopg.Error as error:
        raise LogRefused(
            f"The database refuses what the request log holds: {error}.",
            "Run `churn db migrate` where the schema is behind; otherwise this is a defect.",
        ) from error


def _write(connection: Connection, batch: Batch) -> None:
    rows = [row for request in batch.requests for row in _rows(request)]
    counts = (len(rows), batch.dropped_count, batch.limited_count, batch.denied_count)
    if not _begin(connection, batch.batch_id, batch.worker, *counts):
        return
    for day in sorted({request.at.astimezone(UTC).date() for request in batch.requests}):
        connection.execute(query("open_api_request_day"), {"day": day})
    with connection.cursor() as cursor, cursor.copy(query("copy_api_requests")) as copy:
        for row in rows:
            copy.write_row(row)


def _begin(
    connection: Connection,
    batch_id: UUID,
    worker: str,
    row_count: int,
    dropped_count: int,
    limited_count: int = 0,
    denied_count: int = 0,
) -> bool:
    """Note a batch; False where it is there. Waits for another that notes the same one at this moment."""
    values = {"batch_id": batch_id, "worker": worker, "row_count": row_count, "dropped_count": dropped_count}
    values |= {"limited_count": limited_count, "denied_count": denied_count}
    return connection.execute(query("begin_api_log_batch"), values).rowcount == 1


def _rows(request: LoggedRequest) -> list[Row]:
    """The columns of copy_api_requests.sql, one row an answer."""
    first = (request.at, request.request_id, request.route, request.status, request.milliseconds, request.key_id)
    at, request_id, *rest = first
    if not request.answers:
        nobody = (None, None, request.challenger_version, None, None, None, None)
        return [(at, request_id, 0, *rest, *nobody, request.problem)]
    # A shadow has the number of the answer that it stood behind.
    number, rows = -1, []
    for answer in request.answers:
        number += answer.arm != "shadow"
        rows.append((at, request_id, number, *rest, *_columns(answer, request.challenger_version), request.problem))
    return rows


def _columns(answer: Answer, challenger_version: int | None) -> Row:
    return (
        answer.arm,
        answer.model_version,
        challenger_version,
        storable(answer.customer_id) if answer.customer_id is not None else None,
        json.dumps({storable(name): _storable_value(value) for name, value in answer.inputs.items()}),
        answer.churn_probability,
        answer.risk_level,
    )


def _storable_value(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value


def storable(text: str) -> str:
    """The text as PostgreSQL can hold it: NUL and lone surrogates, which JSON can name, become U+FFFD.

    One such character would otherwise cost the batch that it is in.
    """
    if text.isascii() and "\x00" not in text:
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\x00", "\ufffd")
