"""POST /v1/predict, and /predict as it always was: one customer, answered by the Production model."""

from typing import Any

from flask import Blueprint, g

from churn_api.auth import needs
from churn_api.bodies import read_one_customer
from churn_api.scoring import Scored, answered, score, served_for

blueprint = Blueprint("predict", __name__)


@blueprint.post("/predict")
@blueprint.post("/v1/predict")
@needs("predict")
def predict() -> dict[str, Any]:
    """Score one customer; fields left out are unknown to the model, and the answer lists them."""
    customer_id, record = read_one_customer()
    served = served_for(customer_id)
    [scored] = score(served, [record])
    answered(served, [(customer_id, record, scored)])
    return answer_of(customer_id, scored, served.version)


def answer_of(customer_id: str | None, scored: Scored, model_version: int) -> dict[str, Any]:
    """One customer's answer; the id is in it where one was sent."""
    answer = scored.answer() | {"model_version": model_version, "request_id": g.request_id}
    return answer if customer_id is None else answer | {"customer_id": customer_id}
