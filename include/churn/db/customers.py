"""Reading customers as a model sees them: features of one extract, by the column contract."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from psycopg import sql
from psycopg.rows import tuple_row

from churn.columns import FEATURES, KEY, LABEL
from churn.core.training_sources import TrainingExtract
from churn.db.database import Connection, query

_FEATURE_LIST = sql.SQL(", ").join(
    sql.SQL("history.{} AS {}").format(sql.Identifier(column.sql_name), sql.Identifier(column.name))
    for column in (KEY, *FEATURES)
)
_FEATURE_TYPES = {column.name: "float64" for column in FEATURES if column.is_number}


def read_all(connection: Connection, extract_id: int) -> pd.DataFrame:
    """Read the customers of one extract in key order: customerID and the features, by their names in the extract."""
    return _read_frame(connection, "read_features", {"extract_id": extract_id})


def read_one(connection: Connection, extract_id: int, customer_id: str) -> pd.DataFrame:
    """The same for one customer: a frame of one row, or of none where the extract does not hold them."""
    return _read_frame(connection, "read_customer", {"extract_id": extract_id, "customer_id": customer_id})


def read_labelled(connection: Connection, extract_id: int) -> tuple[pd.DataFrame, npt.NDArray[np.int8]]:
    """Read the customers of one extract whose label was delivered with it.

    Returns (customerID and features, labels (n,) as 0/1), aligned, in key order.
    """
    return _read_with_labels(connection, "read_labelled", "history", {"extract_id": extract_id})


def read_settled(
    connection: Connection, extract: TrainingExtract, label_extract_ids: Sequence[int], horizon_days: int
) -> tuple[pd.DataFrame, npt.NDArray[np.int8]]:
    """Read the customers of one extract as they were on its day, with whether they left within the horizon.

    Who had left by that day, or whose outcome was not known on `extract.settled_date`, is left out. Only the extracts
    `label_extract_ids` are asked. Returns (customerID and features, labels (n,) as 0/1), aligned, in key order.
    """
    parameters = {
        "extract_id": extract.extract_id,
        "snapshot_date": extract.snapshot_date,
        "settled_date": extract.settled_date,
        "horizon_days": horizon_days,
        "label_extract_ids": list(label_extract_ids),
    }
    return _read_with_labels(connection, "read_settled", "settled", parameters)


def sample_with_scores(
    connection: Connection, extract_id: int, count: int, seed: int, scoring_run_id: int | None
) -> pd.DataFrame:
    """Draw about `count` customers of one extract at random, the same ones for the same seed.

    Returns customerID, the features and churn_probability (of the given scoring run, missing without one).
    """
    statement = sql.SQL(query("sample_with_scores")).format(columns=_FEATURE_LIST)
    parameters = {"extract_id": extract_id, "count": count, "seed": seed, "scoring_run_id": scoring_run_id}
    with connection.cursor(row_factory=tuple_row) as cursor:
        rows = cursor.execute(statement, parameters).fetchall()
    frame = _frame([row[:-1] for row in rows])
    frame["churn_probability"] = pd.Series([row[-1] for row in rows], dtype="float64")
    return frame


def _read_with_labels(
    connection: Connection, name: str, label_table: str, parameters: dict[str, object]
) -> tuple[pd.DataFrame, npt.NDArray[np.int8]]:
    label = sql.SQL("{}.churned::int AS {}").format(sql.Identifier(label_table), sql.Identifier(LABEL.name))
    statement = sql.SQL(query(name)).format(columns=sql.SQL(", ").join((_FEATURE_LIST, label)))
    with connection.cursor(row_factory=tuple_row) as cursor:
        rows = cursor.execute(statement, parameters).fetchall()
    return _frame([row[:-1] for row in rows]), np.array([row[-1] for row in rows], dtype=np.int8)


def _read_frame(connection: Connection, name: str, parameters: dict[str, object]) -> pd.DataFrame:
    statement = sql.SQL(query(name)).format(columns=_FEATURE_LIST)
    with connection.cursor(row_factory=tuple_row) as cursor:
        return _frame(cursor.execute(statement, parameters).fetchall())


def _frame(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    names = [KEY.name, *(column.name for column in FEATURES)]
    return pd.DataFrame.from_records(rows, columns=names).astype(_FEATURE_TYPES)
