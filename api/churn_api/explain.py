"""POST /v1/explain: how much each field moves one customer's score, and the same in words."""

from typing import Any

import numpy as np
from flask import Blueprint, g
from pydantic import BaseModel, Field

from churn_api.auth import needs
from churn_api.bodies import read_one_customer
from churn_api.predict import Prediction, answer_of
from churn_api.production import Served
from churn_api.scoring import models_now, remember, score

blueprint = Blueprint("explain", __name__)


class Contribution(BaseModel):
    """What one field does to the score: above 0 it pushes towards leaving. `value` is null where it is unknown."""

    field: str
    value: str | float | None
    contribution: float


class Explanation(Prediction):
    """A prediction with the contribution of every field, the largest first, whichever way it pushes.

    The contributions add up to the model's raw score of this customer less `expected`, its mean raw score, both in
    the unit `scale`; a calibration may come after it.
    """

    scale: str = Field(description='"log odds", or "probability" for a random forest.')
    expected: float
    contributions: list[Contribution]


@blueprint.post("/v1/explain")
@needs("explain")
def explain() -> dict[str, Any]:
    """Score one customer and say what moved the score: exact Shapley values of the model itself."""
    customer_id, record = read_one_customer()
    served = models_now()(customer_id)
    [scored] = score(served, [record])
    remember(served.version, [(customer_id, record, scored)])
    return answer_of(customer_id, scored, served.version, g.request_id) | {
        "scale": "probability" if served.model.kind == "random_forest" else "log odds",
        "expected": served.explainer.expected,
        "contributions": _contributions(served, record),
    }


def _contributions(served: Served, record: dict[str, Any]) -> list[dict[str, Any]]:
    encoder = served.model.encoder
    matrix = encoder.encode_record(record)
    moved = served.explainer.of_one(matrix)[0].tolist()
    known = np.isfinite(matrix[0]).tolist()
    rows = [
        {"field": name, "value": record[name] if is_known else None, "contribution": contribution}
        for name, is_known, contribution in zip(encoder.names, known, moved, strict=True)
    ]
    return sorted(rows, key=lambda row: -abs(row["contribution"]))
