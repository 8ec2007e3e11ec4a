"""POST /v1/predict, and /predict as it always was: one customer, answered by the Production model."""

from typing import Any

from flask import Blueprint, g
from pydantic import BaseModel, ConfigDict, Field

from churn.core.api_keys import Scope
from churn.policy import Action, RiskLevel
from churn_api.arms import ask
from churn_api.auth import needs
from churn_api.bodies import read_one_customer
from churn_api.scoring import Scored, remember, score

SCOPE: Scope = "predict"
blueprint = Blueprint("predict", __name__)


class Recommendation(BaseModel):
    """What to do about a customer: a name for programs, a sentence for people."""

    model_config = ConfigDict(extra="forbid")

    action: Action
    words: str


class Prediction(BaseModel):
    """What is said of one customer."""

    model_config = ConfigDict(extra="forbid")

    churn_probability: float = Field(ge=0, le=1, description="Calibrated probability of leaving within the horizon.")
    risk_level: RiskLevel
    decile: int = Field(ge=1, le=10, description="Among the customers of the published run; 1 is the highest risk.")
    reasons: list[str] | None = Field(description="What pushes the score up most, the strongest first, in words.")
    recommended_action: Recommendation | None = Field(description="Null at low risk and where nothing fits.")
    model_version: int = Field(ge=1)
    unknown_fields: list[str] = Field(description="Fields that the model had to do without.")
    request_id: str
    customer_id: str | None = Field(default=None, description="As it was sent; left out where none was.")


@blueprint.post("/predict")
@blueprint.post("/v1/predict")
@needs(SCOPE)
def predict() -> dict[str, Any]:
    """Score one customer; fields left out are unknown to the model, and the answer lists them."""
    customer_id, record = read_one_customer()
    served, scored = ask(customer_id, lambda asked: score(asked, [record])[0], lambda said: said.churn_probability)
    remember(served.version, [(customer_id, record, scored)])
    return answer_of(customer_id, scored, served.version, g.request_id)


def answer_of(customer_id: str | None, scored: Scored, model_version: int, request_id: str) -> dict[str, Any]:
    """One customer's answer; the id is in it where one was sent."""
    answer = scored.answer() | {"model_version": model_version, "request_id": request_id}
    return answer if customer_id is None else answer | {"customer_id": customer_id}
