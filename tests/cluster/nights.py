"""Nights of a million customers on the cluster: run, interrupted, looked at."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.cluster.conftest import PATIENCE_SECONDS, Cluster
from tests.cluster.control import url
from tests.cluster.machines import CONTROL, Machine
from tests.faults.children import wait_until

FINGERPRINT = """
SELECT count(*) AS rows, count(DISTINCT customer_id) AS customers, count(known.extract_id) AS known,
       count(DISTINCT scoring_run_id) AS runs,
       sum(hashtextextended(concat_ws('|', customer_id, encode(float8send(churn_probability), 'hex'), decile,
                                      percentile_rank, risk_level, reasons::text), 0)::numeric)::text AS hash
FROM crm.churn_scores FULL JOIN churn.customers AS known USING (customer_id)
"""
LOADING = """
SELECT copies.tuples_processed
FROM pg_stat_activity AS activity JOIN pg_stat_progress_copy AS copies USING (pid)
WHERE activity.client_addr = %s::inet AND copies.command = 'COPY FROM' AND copies.tuples_processed > 0
"""
CONNECTIONS = """
SELECT host(client_addr) AS address, datname AS name, count(*) AS count
FROM pg_stat_activity WHERE client_addr IS NOT NULL AND datname IS NOT NULL GROUP BY client_addr, datname
"""
WAL_POSITION = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS bytes"
SIZES = """
SELECT pg_total_relation_size(format('churn.scores_%s', scoring_run_id)) AS scores,
       pg_total_relation_size(format('churn.score_reasons_%s', scoring_run_id)) AS reasons,
       (SELECT max(pg_total_relation_size(inhrelid)) FROM pg_inherits
        WHERE inhparent = 'churn.customer_history'::regclass) AS history
FROM churn.current_scoring_run
"""
PARTS = "SELECT * FROM churn.scoring_parts WHERE scoring_run_id = %s ORDER BY part_number"


@dataclass(frozen=True)
class Night:
    """A published night: its tasks as Airflow tells them, its parts and rows as the database has them."""

    tasks: list[dict[str, Any]]
    parts: list[dict[str, Any]]
    table: dict[str, Any]
    connections: dict[tuple[str, str], int]
    wal_bytes: int

    @property
    def workers(self) -> "Counter[str]":
        """How many parts each machine has finished."""
        return Counter(part["worker"].partition(":")[0] for part in self.parts)

    @property
    def stream_seconds(self) -> float:
        """From the first part that was taken to the last that was finished."""
        first, last = min(part["claimed_at"] for part in self.parts), max(part["finished_at"] for part in self.parts)
        return float((last - first).total_seconds())

    @property
    def rows_per_second(self) -> float:
        return sum(part["row_count"] for part in self.parts) / self.stream_seconds


def run_night(cluster: Cluster, *on: Machine, meanwhile: Callable[[], None] = lambda: None) -> Night:
    """Run the night on these machines, which are on; `meanwhile` is called once it was triggered."""
    cluster.nights += 1
    cluster.deploy(*on)
    [before] = cluster.rows(WAL_POSITION)
    with _counted_connections() as connections, cluster.airflow() as airflow:
        run_id = airflow.trigger("score_customers")
        meanwhile()
        assert airflow.wait("score_customers", run_id, PATIENCE_SECONDS) == "success", airflow.failure(
            "score_customers", run_id
        )
        tasks = airflow.tasks("score_customers", run_id)
    [current] = cluster.rows("SELECT scoring_run_id FROM churn.current_scoring_run")
    [after], [table] = cluster.rows(WAL_POSITION), cluster.rows(FINGERPRINT)
    parts = cluster.rows(PARTS, current["scoring_run_id"])
    return Night(tasks, parts, table, connections, int(after["bytes"] - before["bytes"]))


def wait_until_it_loads(cluster: Cluster, machine: Machine) -> None:
    """Wait until a worker on the machine has copied some of a part's rows into the database, and goes on."""
    with psycopg.connect(url("postgres", "churn"), autocommit=True) as connection:
        wait_until(lambda: connection.execute(LOADING, (machine.address,)).fetchone(), f"{machine.name} loads scores")


@contextmanager
def _counted_connections() -> Iterator[dict[tuple[str, str], int]]:
    """The most connections that each machine has had to each database at once during the block."""
    most: dict[tuple[str, str], int] = {}
    over = threading.Event()

    def look() -> None:
        with psycopg.connect(url("postgres", "postgres"), autocommit=True) as connection:
            while not over.wait(0.05):
                for address, name, count in connection.execute(CONNECTIONS):
                    most[address, name] = max(most.get((address, name), 0), count)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield most
    finally:
        over.set()
        looking.join()


def told(cluster: Cluster, name: str, night: Night) -> str:
    """One line about a night for whoever runs the tests."""
    address = {CONTROL: "control"} | {worker.address: worker.name for worker in cluster.workers}
    most = ", ".join(f"{address[who]} {count} to {name}" for (who, name), count in sorted(night.connections.items()))
    took = ", ".join(f"{worker} {count}" for worker, count in sorted(night.workers.items()))
    return (
        f"{name}: {night.rows_per_second:,.0f} rows/s while parts were scored ({night.stream_seconds:.1f} s),"
        f" parts: {took}; most connections: {most}; write-ahead log: {night.wal_bytes / 1e6:,.0f} MB"
    )


def told_of_sizes(cluster: Cluster) -> str:
    """What the tables of the published night and its customers take on disk."""
    [sizes] = cluster.rows(SIZES)
    return "on disk: " + ", ".join(f"{name} {size / 1e6:,.0f} MB" for name, size in sizes.items())
