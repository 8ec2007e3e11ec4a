"""The scripts that everybody writes, as separate processes: `python -m tests.benchmarks.peers chunks`.

Each reads the customers, asks the registered model through MLflow's pyfunc and writes the probabilities, with the
care that a competent author takes: a server-side cursor for chunks, the whole table in one frame only where asked.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import mlflow
import pandas as pd
import psycopg
import sqlalchemy

from churn.columns import FEATURES, KEY
from tests.benchmarks.told import Clock

CHUNK_ROWS = 50_000
DRIVER = "postgresql+psycopg2"  # what most scripts use, and for to_sql the faster of the two that are installed
SCHEMA = "peers"


def chunks() -> None:
    """read_sql in chunks, predict, to_sql(append)."""
    model, clock = _model(), Clock()
    rows = 0
    with _reading(stream=True) as reader:
        for frame in pd.read_sql(_customers(), reader, chunksize=CHUNK_ROWS):
            _scores(frame, model).to_sql("chunks", _engine(), schema=SCHEMA, if_exists="append", index=False)
            rows += len(frame)
    clock.tell(rows)


def whole() -> None:
    """read_sql of the whole table, predict, to_sql."""
    model, clock = _model(), Clock()
    with _reading(stream=False) as reader:
        frame = pd.read_sql(_customers(), reader)
        _scores(frame, model).to_sql("whole", _engine(), schema=SCHEMA, if_exists="append", index=False)
    clock.tell(len(frame))


def upsert() -> None:
    """read_sql in chunks, predict, COPY to a temporary table, INSERT ... ON CONFLICT into a keyed one."""
    model, clock = _model(), Clock()
    rows = 0
    with _reading(stream=True) as reader, psycopg.connect(os.environ["CHURN_DATABASE_URL"]) as writer:
        writer.execute("CREATE TEMP TABLE arrived (customer_id text, churn_probability float8) ON COMMIT DROP")
        with writer.cursor().copy("COPY arrived FROM STDIN") as copy:
            for frame in pd.read_sql(_customers(), reader, chunksize=CHUNK_ROWS):
                for row in _scores(frame, model).itertuples(index=False, name=None):
                    copy.write_row(row)
                rows += len(frame)
        writer.execute(
            "INSERT INTO peers.upsert SELECT customer_id, churn_probability FROM arrived"
            " ON CONFLICT (customer_id) DO UPDATE SET churn_probability = excluded.churn_probability"
        )
    clock.tell(rows)


PEERS: dict[str, Callable[[], None]] = {"chunks": chunks, "whole": whole, "upsert": upsert}


def _model() -> Any:
    return mlflow.pyfunc.load_model("models:/churn@production")


@cache
def _engine() -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(DRIVER + os.environ["CHURN_DATABASE_URL"].removeprefix("postgresql"))


@contextmanager
def _reading(stream: bool) -> Iterator[sqlalchemy.Connection]:
    with _engine().connect().execution_options(stream_results=stream) as connection:
        yield connection


def _customers() -> sqlalchemy.Select[Any]:
    """The customers under the names that the model knows."""
    wanted: list[sqlalchemy.Label[Any]] = [
        sqlalchemy.column(column.sql_name).label(column.name) for column in (KEY, *FEATURES)
    ]
    return sqlalchemy.select(*wanted).select_from(sqlalchemy.table("customers", schema="churn"))


def _scores(frame: pd.DataFrame, model: Any) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": frame[KEY.name], "churn_probability": model.predict(frame)})


if __name__ == "__main__":
    PEERS[sys.argv[1]]()
