"""`python -m tests.benchmarks`: measure peers, the product and the stages' limits, side by side, and show it.

Ends with 0 whatever the speed is, and with 1 where a result is wrong or a piece did not run: speed is shown,
correctness is tested.
"""

import argparse
import logging
import os
import platform
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from churn.core.candidates import CANDIDATES
from churn.jobs.record_training import code_version
from churn.settings import PROJECT
from tests.benchmarks.airflow_piece import measure_airflow
from tests.benchmarks.docs import write_docs
from tests.benchmarks.door import measure_door
from tests.benchmarks.endpoint import measure_endpoint
from tests.benchmarks.pieces import COMPARED, UP_TO_A_MILLION
from tests.benchmarks.preparation import (
    LARGEST_VALIDATED,
    PRODUCTION_KIND,
    prepare_customers,
    register_models,
    working_copy,
)
from tests.benchmarks.results import Results
from tests.benchmarks.rounds import Rounds
from tests.benchmarks.servers import Bench, running_bench
from tests.benchmarks.tables import Shown, all_tables

log = logging.getLogger("tests.benchmarks")

SIZES = (100_000, 1_000_000, 10_000_000)
ENDPOINT = "endpoint"  # one request at a time: no size
PIECES = (*(piece.name for piece in COMPARED), "stages", "airflow", "door", ENDPOINT)
REPEATED, REPEATED_LARGE = 3, 2
PAGE = PROJECT / "docs" / "speed.md"


def main() -> int:
    """Measure, or only fill the docs from what was measured."""
    options = _options()
    if options.write_docs:
        write_docs(PAGE, Results.load(options.write_docs))
        return 0
    _log_to_stderr()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    sizes = () if list(options.pieces) == [ENDPOINT] else options.sizes
    results = Results(_about(), sorted(set(sizes)))
    with running_bench(options.keep) as bench:
        _log_to_file(bench)
        _measure(bench, results, options)
    _show(results)
    return 1 if results.wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="customers")
    parser.add_argument("--pieces", nargs="+", choices=PIECES, default=PIECES, help="what to measure; all by default")
    parser.add_argument("--repeat", type=int, default=REPEATED, help=f"repetitions; above 1 M at most {REPEATED_LARGE}")
    parser.add_argument("--json", type=Path, help="file that receives every measurement")
    parser.add_argument("--keep", type=Path, help="folder that keeps the prepared tables for the next run")
    parser.add_argument(
        "--write-docs", type=Path, metavar="JSON", help="measure nothing; fill docs/speed.md from a file"
    )
    return parser.parse_args()


def _measure(bench: Bench, results: Results, options: argparse.Namespace) -> None:
    """Every size, then what has none; what was measured is kept after each, for an hour's work is soon lost."""

    def save() -> None:
        if options.json:
            results.save(options.json)

    prepared = {size: prepare_customers(bench, size, min(*results.sizes, LARGEST_VALIDATED)) for size in results.sizes}
    kinds = CANDIDATES if ENDPOINT in options.pieces else (PRODUCTION_KIND,)
    versions = register_models(bench.services(next(iter(prepared.values()), "postgres")), kinds)
    through_airflow = max((size for size in results.sizes if size <= UP_TO_A_MILLION), default=None)
    for size in results.sizes:
        with working_copy(bench, prepared[size], size) as database:
            rounds = Rounds(bench, database, size, results)
            rounds.run(
                options.pieces, options.repeat if size <= UP_TO_A_MILLION else min(options.repeat, REPEATED_LARGE)
            )
            if "airflow" in options.pieces and size == through_airflow:
                measure_airflow(bench, database, size, rounds, results)
        save()
    if "door" in options.pieces and through_airflow:
        measure_door(bench, through_airflow, options.repeat, results)
        save()
    if ENDPOINT in options.pieces:
        measure_endpoint(bench, versions, options.repeat, results)
        save()


def _about() -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GB",
        "Python": platform.python_version(),
        "model": "LightGBM with the project's default parameters",
        "LightGBM": version("lightgbm"),
        "MLflow": version("mlflow"),
        "pandas": version("pandas"),
        "code": code_version(PROJECT),
        "day": str(datetime.now(UTC).date()),
    }


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    for noisy in ("alembic", "great_expectations", "mlflow", "httpx", "py.warnings", "churn"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def _log_to_file(bench: Bench) -> None:
    written = logging.FileHandler(bench.logs / "bench.log", "w", "utf-8")
    written.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logging.getLogger().addHandler(written)


def _show(results: Results) -> None:
    console = Console(width=None if sys.stdout.isatty() else 200)
    for table in all_tables(results):
        console.print(_rich(table), highlight=False)
    for note in results.notes:
        console.print(note, highlight=False)
    for check in results.wrong:
        console.print(f"WRONG {check.size or ''} {check.piece}: {check.told}", style="bold red", markup=False)
    console.print(f"{len(results.checks) - len(results.wrong)} of {len(results.checks)} checks of results passed.")


def _rich(table: Shown) -> Table:
    shown = Table(title=table.title, title_justify="left")
    for place, column in enumerate(table.columns):
        shown.add_column(column, justify="left" if place == 0 else "right", overflow="fold")
    for row in table.rows:
        shown.add_row(*row)
    return shown


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
