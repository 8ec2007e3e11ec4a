"""Each stage of the night alone, as fast as it goes: `python -m tests.benchmarks.stages read`.

Nothing waits for anything else here. What these stages would take if they overlapped perfectly is the limit that
the job is held against (limits.py). Each stage is one function of the services, so that it can be replaced by the
product's own code for that stage.
"""

import asyncio
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import asyncpg
import pandas as pd
import psutil
from psycopg import sql

from churn.columns import FEATURES, KEY
from churn.db.database import Connection
from churn.services import Services
from tests.benchmarks.ours import ready_services
from tests.benchmarks.told import Clock

Cost = dict[str, float]
PREDICTED_ROWS = 200_000  # a rate needs no more, and a matrix of 10 M rows would be measuring memory
BLOCK_BYTES = 1 << 20
WRITTEN = sql.Identifier("peers", "written")
CURRENT_RUN = sql.SQL("(SELECT scoring_run_id FROM churn.current_scoring_run)")


def read(services: Services) -> dict[str, Cost]:
    """Every customer of the snapshot in key order, drained to nowhere."""
    return {"read": asyncio.run(_drain(services))}


def predict(services: Services) -> dict[str, Cost]:
    """The model on a matrix in memory, one thread; the time is that of all rows at the rate of some."""
    production = services.registry.production_version()
    model = services.registry.load(production.version, production.digest)
    with services.database.transaction() as connection:
        statement = sql.SQL("{} LIMIT {}").format(_customers(connection), sql.Literal(PREDICTED_ROWS))
        frame = pd.DataFrame(connection.execute(statement).fetchall())
        count = _count(connection)
    matrix = model.encoder.encode(frame)
    with _costing() as cost:
        model._probabilities(matrix)
    return {"predict": {name: seconds * count / len(matrix) for name, seconds in cost.items()}}


def write(services: Services) -> dict[str, Cost]:
    """The published rows once more, COPY into a fresh table, and its primary key built after."""
    with tempfile.TemporaryFile() as rows:
        with services.database.transaction() as connection:
            _save_published(connection, rows)
        rows.seek(0)
        with services.database.transaction() as connection:
            pid = connection.info.backend_pid
            with _costing(pid) as writing:
                _write(connection, rows)
                connection.commit()
            with _costing(pid) as keying:
                connection.execute(_add_key(connection))
                connection.commit()
    return {"write": writing, "key": keying}


def checks(services: Services) -> dict[str, Cost]:
    """What must be known of a run before it is published, asked of the published one."""
    statement = sql.SQL(
        "SELECT count(*), min(churn_probability), max(churn_probability), avg(churn_probability),"
        " (SELECT count(*) FROM churn.customers AS customer WHERE NOT EXISTS ("
        "SELECT FROM churn.scores AS scored WHERE scored.scoring_run_id = {run}"
        " AND scored.customer_id = customer.customer_id))"
        " FROM churn.scores WHERE scoring_run_id = {run}"
    ).format(run=CURRENT_RUN)
    with services.database.transaction() as connection, _costing(connection.info.backend_pid) as cost:
        connection.execute(statement)
    return {"checks": cost}


STAGES: dict[str, Callable[[Services], dict[str, Cost]]] = {
    "read": read,
    "predict": predict,
    "write": write,
    "checks": checks,
}


@contextmanager
def _costing(*server_pids: int) -> Iterator[Cost]:
    """Wall seconds, and CPU seconds of this process and of the server's backends, while the block runs."""
    cost: Cost = {}
    clock, before = Clock(), (_own_cpu(), _cpu_of(server_pids))
    yield cost
    cost["seconds"] = clock.seconds
    cost["client_cpu"], cost["server_cpu"] = _own_cpu() - before[0], _cpu_of(server_pids) - before[1]


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _cpu_of(pids: tuple[int, ...]) -> float:
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


async def _drain(services: Services) -> Cost:
    async def nowhere(_: bytes) -> None:
        return

    with services.database.transaction() as connection:
        statement = _customers(connection).as_string(connection)
    reader = await asyncpg.connect(services.database.url)
    try:
        with _costing(reader.get_server_pid()) as cost:
            await reader.copy_from_query(statement, output=nowhere, format="binary")
    finally:
        await reader.close()
    return cost


def _customers(connection: Connection) -> sql.Composed:
    """Key and features of the current extract in key order. The number is written out, as a plan needs it."""
    names = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.Identifier(column.sql_name), sql.Identifier(column.name))
        for column in (KEY, *FEATURES)
    )
    row = connection.execute("SELECT extract_id FROM churn.current_extract").fetchone() or {}
    return sql.SQL("SELECT {} FROM churn.customer_history WHERE extract_id = {} ORDER BY customer_id").format(
        names, sql.Literal(row["extract_id"])
    )


def _count(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) AS count FROM churn.customers").fetchone() or {}
    return int(row["count"])


def _save_published(connection: Connection, target: IO[bytes]) -> None:
    statement = sql.SQL("COPY (SELECT * FROM churn.scores WHERE scoring_run_id = {}) TO STDOUT (FORMAT binary)").format(
        CURRENT_RUN
    )
    with connection.cursor().copy(statement) as copy:
        for block in copy:
            target.write(block)


def _write(connection: Connection, rows: IO[bytes]) -> None:
    connection.execute(
        sql.SQL("CREATE TABLE {} (LIKE churn.scores INCLUDING DEFAULTS INCLUDING CONSTRAINTS)").format(WRITTEN)
    )
    with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(WRITTEN)) as copy:
        while block := rows.read(BLOCK_BYTES):
            copy.write(block)


def _add_key(connection: Connection) -> sql.Composed:
    row: dict[str, Any] = connection.execute(
        "SELECT pg_get_constraintdef(oid) AS key FROM pg_constraint"
        " WHERE conrelid = 'churn.scores'::regclass AND contype = 'p'"
    ).fetchone() or {}  # fmt: skip
    return sql.SQL("ALTER TABLE {} ADD {}").format(WRITTEN, sql.SQL(row["key"]))


def main(stage: str) -> None:
    """Measure one stage."""
    services = ready_services()
    with services.database.transaction() as connection:
        count = _count(connection)
    clock = Clock()
    clock.tell(count, stages=STAGES[stage](services))


if __name__ == "__main__":
    main(sys.argv[1])
