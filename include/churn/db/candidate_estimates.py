"""What candidates are worth, kept by what they were estimated on: an unchanged week is not estimated again."""

from typing import Any

import numpy as np
from psycopg.types.json import Jsonb

from churn.core.calibration import Calibration
from churn.core.estimation import CandidateEstimate, JudgedFold, Recipe
from churn.db.database import Connection, query
from churn.records import as_json, from_json


def find(connection: Connection, estimate_key: str) -> tuple[CandidateEstimate, str] | None:
    """An estimate and the id of the MLflow run that it was recorded in, if there is one."""
    row = connection.execute(query("find_candidate_estimate"), {"estimate_key": estimate_key}).fetchone()
    return (_estimate(row), row["mlflow_run_id"]) if row else None


def newest(connection: Connection) -> list[CandidateEstimate]:
    """The newest estimate of each kind of candidate."""
    return [_estimate(row) for row in connection.execute(query("newest_candidate_estimates"))]


def record(connection: Connection, estimate_key: str, estimate: CandidateEstimate, mlflow_run_id: str) -> None:
    """Keep an estimate; the first one stays."""
    values = {
        "estimate_key": estimate_key,
        "kind": estimate.kind,
        "recipe": Jsonb(
            {"parameters": estimate.recipe.parameters, "calibration": estimate.recipe.calibration.to_state()}
        ),
        "folds": Jsonb(as_json(list(estimate.folds))),
        "probabilities": estimate.probabilities.astype("<f8").tobytes(),
        "repeat_count": len(estimate.probabilities),
        "rows_a_second": estimate.rows_a_second,
        "mlflow_run_id": mlflow_run_id,
    }
    connection.execute(query("record_candidate_estimate"), values)


def _estimate(row: dict[str, Any]) -> CandidateEstimate:
    recipe = Recipe(row["recipe"]["parameters"], Calibration.from_state(row["recipe"]["calibration"]))
    folds = tuple(from_json(JudgedFold, fold) for fold in row["folds"])
    probabilities = np.frombuffer(row["probabilities"], "<f8").reshape(row["repeat_count"], -1)
    return CandidateEstimate(row["kind"], recipe, folds, probabilities, row["rows_a_second"])
