"""The same night through Airflow: the real local platform in a home of its own, driven over REST.

The platform is given the bench's PostgreSQL and MLflow; Airflow, its scheduler and the API are its own.
"""

import logging
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from psycopg import sql

from churn.errors import PlatformError
from churn.platform.airflow_rest import AirflowRest
from churn.platform.layout import AIRFLOW_USER, Platform
from churn.platform.postgres import create_database
from churn.settings import PROJECT, Settings
from tests.benchmarks.pieces import CHURN
from tests.benchmarks.results import Check, Measurement, Results
from tests.benchmarks.rounds import Rounds
from tests.benchmarks.servers import Bench
from tests.server import random_free_port

log = logging.getLogger(__name__)

NAME = "airflow"
DAG = "score_customers"
METADATA = "bench_airflow"
REPETITIONS = 2
LONGEST_SECONDS = 900


def measure_airflow(bench: Bench, database: str, size: int, rounds: Rounds, results: Results) -> None:
    """Run the DAG a few times, each a new night, and record the time from trigger to success."""
    try:
        with _platform(bench, database) as airflow:
            airflow.wait_for_dags({DAG})
            airflow.unpause(DAG)
            for repetition in range(1, REPETITIONS + 1):
                rounds.new_night()
                rounds.settle()
                results.measurements.append(_measure(airflow, size, repetition))
                rounds.check_night(_published_run(bench, database))
    except (PlatformError, subprocess.SubprocessError) as error:
        results.checks.append(Check(size, NAME, False, str(error)))
        log.error("airflow: %s", error)


@contextmanager
def _platform(bench: Bench, database: str) -> Iterator[AirflowRest]:
    """The local platform with a login to its Airflow; stopped and forgotten at the end."""
    home = bench.folder / "platform"
    environment = bench.environment(database) | _given(bench, database) | {"CHURN_HOME": str(home)}
    shutil.rmtree(home, ignore_errors=True)
    with ExitStack() as ended:
        create_database(bench.url("postgres", "postgres"), METADATA)
        ended.callback(_forget, bench, home)
        ended.callback(_churn, "down", bench, environment)
        _churn("up", bench, environment)
        platform = Platform.of(Settings(home=home))
        yield ended.enter_context(AirflowRest(platform.airflow_url, AIRFLOW_USER, platform.credentials.airflow_admin))


def _forget(bench: Bench, home: Path) -> None:
    """Keep the platform's logs and nothing else of it."""
    with bench.admin() as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(METADATA)))
    shutil.copytree(home / "logs", bench.logs / "platform", dirs_exist_ok=True)
    shutil.rmtree(home)


def _given(bench: Bench, database: str) -> dict[str, str]:
    """What exists already, and ports of its own for the rest."""
    ports = {f"CHURN_{name}_PORT": str(random_free_port()) for name in ("AIRFLOW", "MLFLOW", "API", "POSTGRES")}
    return ports | {
        "CHURN_API_DATABASE_URL": bench.url(database, "churn_api"),
        "CHURN_AIRFLOW_DATABASE_URL": bench.url(METADATA, "postgres"),
    }


def _churn(what: str, bench: Bench, environment: dict[str, str]) -> None:
    with (bench.logs / f"platform-{what}.log").open("wb") as written:
        done = subprocess.run(
            [CHURN, "platform", what],
            env=environment, cwd=PROJECT, stdout=written, stderr=written, timeout=LONGEST_SECONDS, check=False,
        )  # fmt: skip
    if done.returncode:
        raise PlatformError(f"churn platform {what} ended with {done.returncode}", f"Read {written.name}.")


def _measure(airflow: AirflowRest, size: int, repetition: int) -> Measurement:
    """One run of the DAG: by Airflow's own clock, and as someone sees it who waits for it."""
    started = time.monotonic()
    run_id = airflow.trigger(DAG)
    if airflow.wait(DAG, run_id, LONGEST_SECONDS) != "success":
        raise PlatformError(f"{DAG} did not succeed: {airflow.failure(DAG, run_id)}.", "Read the logs of the bench.")
    waited = time.monotonic() - started
    run = airflow.call("GET", f"/dags/{DAG}/dagRuns/{run_id}")
    tasks = {
        each["task_id"] if each["map_index"] < 0 else f"{each['task_id']} {each['map_index']}": each["duration"] or 0.0
        for each in airflow.tasks(DAG, run_id)
    }
    seconds = (datetime.fromisoformat(run["end_date"]) - datetime.fromisoformat(run["queued_at"])).total_seconds()
    log.info("%s rows, airflow, repetition %s: %.2f s, tasks %s", f"{size:,}", repetition, seconds, tasks)
    return Measurement(size, NAME, repetition, seconds, waited, 0.0, 0.0, steps=tasks)


def _published_run(bench: Bench, database: str) -> int:
    with bench.admin(database) as admin:
        row = admin.execute("SELECT scoring_run_id FROM churn.current_scoring_run").fetchone()
    return int(str(row[0])) if row else 0
