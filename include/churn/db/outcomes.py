"""Old scores meet what became true, and what that says about a run is recorded."""

from dataclasses import asdict, dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
from psycopg.rows import tuple_row

from churn.core.evaluation import Decile
from churn.db.database import Connection, query
from churn.records import ScoringRun


@dataclass(frozen=True)
class RealisedPerformance:
    """How a published run did against the outcomes of its horizon.

    Rates, errors and probabilities are between 0 and 1. The ROC-AUC and the lift are missing where every
    outcome is the same.
    """

    scoring_run_id: int
    horizon_days: int
    snapshot_date: date
    model_version: int
    outcome_count: int
    churn_rate: float
    mean_probability: float
    roc_auc: float | None
    roc_auc_low: float | None
    roc_auc_high: float | None
    brier: float
    calibration_error: float
    lift_10: float | None
    deciles: tuple[Decile, ...] = ()


def settled_scores(
    connection: Connection, run: ScoringRun, horizon_days: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Read (outcomes as 0/1, probabilities) of the run's customers whose outcome is known, aligned."""
    parameters = {
        "scoring_run_id": run.scoring_run_id,
        "snapshot_date": run.snapshot_date,
        "horizon_days": horizon_days,
    }
    with connection.cursor(row_factory=tuple_row) as cursor:
        rows = cursor.execute(query("settle_scores"), parameters).fetchall()
    return (
        np.array([churned for _, churned in rows], dtype=np.int64),
        np.array([probability for probability, _ in rows], dtype=np.float64),
    )


def record(connection: Connection, performance: RealisedPerformance) -> None:
    """Record how a run and its deciles did; a run that is already settled for this horizon stays as it was."""
    values = asdict(performance)
    deciles = values.pop("deciles")
    connection.execute(query("record_realised_performance"), values)
    run = {"scoring_run_id": performance.scoring_run_id, "horizon_days": performance.horizon_days}
    with connection.cursor() as cursor:
        cursor.executemany(query("record_realised_decile"), [{**run, **decile} for decile in deciles])
