"""The measured time to recover: `python -m tests.benchmarks.recovery 7043 1000000`.

For each number of customers: one admitted and scored night, a backup of it, and then a new state folder that is
restored and brought up with the commands of the runbook, until the API gives the answer that it gave before.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from churn.db.database import Database
from churn.db.migrations import migrate
from churn.file_tree import FileTree
from churn.jobs.score_customers import score_customers
from churn.jobs.take_backup import Backup, Saved, take_backup
from churn.platform.postgres import wheel_server
from churn.settings import PROJECT
from tests.api.conftest import VERBATIM
from tests.benchmarks.preparation import LARGEST_VALIDATED, prepare_customers, register_models
from tests.benchmarks.servers import MLFLOW_DATABASE, OURS, Bench, running_bench

CHURN = str(Path(sys.executable).with_name("churn"))


def main() -> None:
    """Print one JSON line a size."""
    sizes = [int(each) for each in sys.argv[1:]]
    with tempfile.TemporaryDirectory(prefix="churn-recovery-") as folder, running_bench(None) as bench:
        register_models(bench.services("postgres"))
        for count in sizes:
            taken = _back_up(bench, count, Path(folder) / str(count))
            print(json.dumps(_recover(taken, count, Path(folder) / f"home-{count}")), flush=True)  # noqa: T201


def _back_up(bench: Bench, count: int, place: Path) -> Backup:
    """A backup of a system with one published night of so many customers."""
    name = prepare_customers(bench, count, min(count, LARGEST_VALIDATED))
    admin = Database(bench.url(name, "postgres"))
    migrate(admin)
    score_customers(bench.services(name))
    mlflow = Database(bench.url(MLFLOW_DATABASE, "postgres"))
    saved = Saved(admin, mlflow, FileTree(str(bench.folder / "mlflow-artifacts")), wheel_server() / "bin")
    return take_backup(saved, str(place))


def _recover(taken: Backup, count: int, home: Path) -> dict[str, Any]:
    """Restore into a new state folder, bring it up, and ask; in seconds from the first command on."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environment = kept | {"CHURN_HOME": str(home)}
    started = time.monotonic()
    _run("restore", taken.url, environment=environment)
    restored = time.monotonic()
    with _platform(environment):
        up = time.monotonic()
        answer = requests.post(f"{_address(home)}/predict", json=VERBATIM, timeout=60)
        answer.raise_for_status()
        served = time.monotonic()
    return {
        "customers": count,
        "backup_seconds": round(taken.seconds, 1),
        "backup_megabytes": round(taken.manifest.byte_count / 1e6, 1),
        "restore_seconds": round(restored - started, 1),
        "up_seconds": round(up - restored, 1),
        "recovered_seconds": round(served - started, 1),
    }


@contextmanager
def _platform(environment: dict[str, str]) -> Iterator[None]:
    _run("platform", "up", environment=environment)
    try:
        yield
    finally:
        _run("platform", "down", environment=environment)


def _address(home: Path) -> str:
    port = json.loads((home / "state.json").read_text("utf-8"))["ports"]["api"]
    return f"http://127.0.0.1:{port}"


def _run(*arguments: str, environment: dict[str, str]) -> None:
    subprocess.run([CHURN, *arguments], env=environment, cwd=PROJECT, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main()
