"""The door: a file of customers on disk becomes admitted history. `python -m tests.benchmarks.door ours FILE`.

Beside it the script that everybody writes: read_csv, a Great Expectations pandas asset with the same questions,
to_sql. For both, ready means that everything is imported.
"""

import dataclasses
import logging
import os
import sys
from pathlib import Path

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
import sqlalchemy
from psycopg import sql

from churn.columns import COLUMNS, KEY, LABEL, Column
from churn.jobs.validate_customers import validate_customers
from churn.process import tune_for_one_job
from churn.services import Services
from churn.settings import Settings
from churn.simulator import write_extract
from tests.benchmarks.peers import CHUNK_ROWS, DRIVER, SCHEMA
from tests.benchmarks.pieces import DOOR, DOOR_PEER, Piece, PieceFailed, run_piece
from tests.benchmarks.preparation import CUSTOMERS_SEED, empty_copy
from tests.benchmarks.results import Check, Results
from tests.benchmarks.servers import Bench
from tests.benchmarks.told import Clock
from tests.jobs import DAY

log = logging.getLogger(__name__)

TABLE = "customers"


def measure_door(bench: Bench, size: int, repeat: int, results: Results) -> None:
    """Let the same file through both doors in turn, each time into a database without customers."""
    file = bench.folder / f"customers-{DAY}.csv"
    write_extract(file, size, CUSTOMERS_SEED)
    pieces = [DOOR, DOOR_PEER]
    for repetition in range(1, repeat + 1):
        for piece in pieces if repetition % 2 else reversed(pieces):
            results.checks.append(_measure(bench, piece, file, size, repetition, results))
    file.unlink()


def _measure(bench: Bench, piece: Piece, file: Path, size: int, repetition: int, results: Results) -> Check:
    table = sql.Identifier("churn", "customers") if piece is DOOR else sql.Identifier(SCHEMA, TABLE)
    with empty_copy(bench) as database:
        try:
            named = dataclasses.replace(piece, command=(*piece.command, str(file)))
            results.measurements.append(run_piece(bench, database, named, size, repetition)[0])
        except PieceFailed as failure:
            return Check(size, piece.name, False, str(failure))
        with bench.admin(database) as admin:
            row = admin.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchone()
    found = int(str(row[0])) if row else 0
    return Check(size, piece.name, found == size, f"{piece.name}: {found:,} of {size:,} rows loaded")


def ours(file: str) -> None:
    """What the first task of the day does: validate, quarantine, admit."""
    tune_for_one_job()  # as `churn` does
    services, clock = Services.from_settings(Settings()), Clock()
    (outcome,) = validate_customers(services, file)
    clock.tell(outcome.extract.admitted_count or 0)


def peer(file: str) -> None:
    """read_csv, validate the frame, to_sql in chunks."""
    clock = Clock()
    frame = pd.read_csv(file)
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("customers")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    found = batch.validate(gx.ExpectationSuite("customers", expectations=_expectations()))
    if not found.success:
        raise SystemExit(str(found))
    engine = sqlalchemy.create_engine(DRIVER + os.environ["CHURN_DATABASE_URL"].removeprefix("postgresql"))
    frame.to_sql(TABLE, engine, schema=SCHEMA, if_exists="append", index=False, chunksize=CHUNK_ROWS)
    clock.tell(len(frame))


def _expectations() -> list[gxe.Expectation]:
    """What our suite and row rules ask of single columns."""
    required = [column for column in COLUMNS if column is not LABEL and column.name != "TotalCharges"]
    return [
        gxe.ExpectTableColumnsToMatchSet(column_set=[column.name for column in COLUMNS], exact_match=True),
        gxe.ExpectColumnValuesToBeUnique(column=KEY.name),
        *(gxe.ExpectColumnValuesToNotBeNull(column=column.name) for column in required),
        *(_of_values(column) for column in required if column is not KEY),
    ]


def _of_values(column: Column) -> gxe.Expectation:
    if column.categories:
        return gxe.ExpectColumnValuesToBeInSet(column=column.name, value_set=list(column.categories))
    return gxe.ExpectColumnValuesToBeBetween(column=column.name, min_value=column.minimum, max_value=column.maximum)


if __name__ == "__main__":
    {"ours": ours, "peer": peer}[sys.argv[1]](sys.argv[2])
