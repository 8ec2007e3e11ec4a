"""Each stage of the night alone, as fast as it goes: `python -m tests.benchmarks.stages read`.

Nothing waits for anything else here. What these stages would take if they overlapped perfectly is the limit that
the job is held against (limits.py). Reading, predicting and checking are the product's own statements and engine;
writing and the key are what PostgreSQL does with the product's rows.
"""

import asyncio
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import asyncpg
import numpy as np
import psutil
from psycopg import sql

from churn.core.engines import Engine
from churn.core.feature_packing import FeaturePacking
from churn.core.features import FeatureEncoder
from churn.db import scores, scoring_runs
from churn.db.database import Connection
from churn.db.feature_stream import COPY_FORMAT, read_blocks, select_features
from churn.records import ScoringRun
from churn.services import Services
from tests.benchmarks.ours import ready_services
from tests.benchmarks.told import Clock

Cost = dict[str, float]
PREDICTED_ROWS = 200_000  # a rate needs no more, and a matrix of 10 M rows would be measuring memory
BLOCK_BYTES = 1 << 20
WRITTEN = sql.Identifier("peers", "written")
COLUMNS = sql.SQL(", ").join(map(sql.Identifier, scores.SCORES.names))
KEY_MEMORY = "128MB"  # as churn.seal_score_table


def read(services: Services, _: Engine, run: ScoringRun) -> dict[str, Cost]:
    """The product's own statement over every customer of the snapshot, drained to nowhere."""
    packing = FeaturePacking.of(_encoder(services, run))
    statement = select_features(packing, _customers(run)).as_string()
    return {"read": asyncio.run(_drain(services, statement))}


def predict(services: Services, engine: Engine, run: ScoringRun) -> dict[str, Cost]:
    """The product's engine on a matrix in memory, one thread; the time is that of all rows at the rate of some."""
    source = sql.SQL("{} LIMIT {}").format(_customers(run), sql.Literal(PREDICTED_ROWS))
    blocks = read_blocks(services.database, _encoder(services, run), source)
    matrix = np.vstack([block.matrix for block in blocks])
    with _costing() as cost:
        engine.probabilities(matrix)
    return {"predict": {name: taken * (run.scored_count or 0) / len(matrix) for name, taken in cost.items()}}


def write(services: Services, _: Engine, run: ScoringRun) -> dict[str, Cost]:
    """The published rows once more, COPY into a fresh table, and its primary key built after."""
    with tempfile.TemporaryFile() as rows:
        with services.database.transaction() as connection:
            _save_published(connection, run, rows)
        rows.seek(0)
        with services.database.transaction() as connection:
            pid = connection.info.backend_pid
            with _costing(pid) as writing:
                _write(connection, run, rows)
                connection.commit()
            with _costing(pid) as keying:
                connection.execute("SELECT set_config('maintenance_work_mem', %s, true)", (KEY_MEMORY,))
                connection.execute(
                    sql.SQL("ALTER TABLE {} ADD PRIMARY KEY (scoring_run_id, customer_id)").format(WRITTEN)
                )
                connection.commit()
    return {"write": writing, "key": keying}


def checks(services: Services, _: Engine, run: ScoringRun) -> dict[str, Cost]:
    """What the product asks of a run before it is published, without the suite and its process."""
    with services.database.transaction() as connection, _costing(connection.info.backend_pid) as cost:
        scores.summarise(connection, run)
    return {"checks": cost}


STAGES: dict[str, Callable[[Services, Engine, ScoringRun], dict[str, Cost]]] = {
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


async def _drain(services: Services, statement: str) -> Cost:
    async def nowhere(_: bytes) -> None:
        return

    reader = await asyncpg.connect(services.database.url)
    try:
        with _costing(reader.get_server_pid()) as cost:
            await reader.copy_from_query(statement, output=nowhere, format=COPY_FORMAT)
    finally:
        await reader.close()
    return cost


def _encoder(services: Services, run: ScoringRun) -> FeatureEncoder:
    return services.registry.load(run.model_version, run.model_digest).encoder


def _customers(run: ScoringRun) -> sql.Composed:
    """Every customer of the run's snapshot, as one part."""
    return sql.SQL("churn.customer_history AS history WHERE history.extract_id = {}").format(
        sql.Literal(run.extract_id)
    )


def _save_published(connection: Connection, run: ScoringRun, target: IO[bytes]) -> None:
    statement = sql.SQL(
        "COPY (SELECT {} FROM churn.scores WHERE scoring_run_id = {}) TO STDOUT (FORMAT binary)"
    ).format(COLUMNS, sql.Literal(run.scoring_run_id))
    with connection.cursor().copy(statement) as copy:
        for block in copy:
            target.write(block)


def _write(connection: Connection, run: ScoringRun, rows: IO[bytes]) -> None:
    connection.execute(sql.SQL("CREATE TABLE {} (LIKE churn.scores INCLUDING CONSTRAINTS)").format(WRITTEN))
    connection.execute(
        sql.SQL("ALTER TABLE {} ALTER scoring_run_id SET DEFAULT {}").format(WRITTEN, sql.Literal(run.scoring_run_id))
    )
    with connection.cursor().copy(sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(WRITTEN, COLUMNS)) as copy:
        while block := rows.read(BLOCK_BYTES):
            copy.write(block)


def main(stage: str) -> None:
    """Measure one stage on the snapshot and the rows of the published run."""
    services, engine = ready_services()
    with services.database.transaction() as connection:
        run = scoring_runs.published(connection)
    if run is None:
        raise SystemExit("Nothing is published: the stages are measured on the rows of a night.")
    clock = Clock()
    clock.tell(run.scored_count or 0, stages=STAGES[stage](services, engine, run))


if __name__ == "__main__":
    main(sys.argv[1])
