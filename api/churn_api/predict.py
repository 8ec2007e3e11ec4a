"""POST /predict: the churn probability of one customer, from the Production model."""

import json
from typing import Any

from flask import Blueprint, current_app, g, request
from pydantic import ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from churn.policy import Policy
from churn_api.problems import FieldProblem, Problem
from churn_api.production import ProductionModel, Served
from churn_api.schemas import field_problems, read_record

MAXIMUM_BODY_BYTES = 64 * 1024
BODY = "(body)"
blueprint = Blueprint("predict", __name__)


@blueprint.post("/predict")
def predict() -> dict[str, Any]:
    """Score one customer; fields left out are unknown to the model, and the answer lists them."""
    customer_id, record = _read_customer(_read_object())
    served = _served()
    g.model_version = served.version
    probability = served.model.predict_record(record)
    policy: Policy = current_app.extensions["policy"]
    answer = {
        "churn_probability": probability,
        "risk_level": policy.risk_level(probability),
        "model_version": served.version,
        "unknown_fields": served.model.encoder.unknown_fields(record),
        "request_id": g.request_id,
    }
    return answer if customer_id is None else {**answer, "customer_id": customer_id}


def _served() -> Served:
    """The model in use, or a problem that says why there is none."""
    production: ProductionModel = current_app.extensions["production"]
    served = production.served
    if served is None:
        standing = production.standing
        raise Problem(503, "no-model", standing.message, standing.next_step, retry_after=5)
    return served


def _read_object() -> dict[str, Any]:
    """The request's body as a JSON object; a Problem names what else it is."""
    if request.mimetype != "application/json":
        raise Problem(
            415,
            "not-json",
            "The body is not declared as JSON.",
            "Send it with Content-Type: application/json.",
        )
    body = request.get_data(cache=False)
    if len(body) > MAXIMUM_BODY_BYTES:  # a chunked body is cut off at the framework's limit, not refused
        raise RequestEntityTooLarge
    try:
        parsed = json.loads(body, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, brackets 10,000 deep
        raise Problem(
            400,
            "malformed-request",
            "The body is empty." if not body.strip() else "The body is not JSON that can be read.",
            'Send one JSON object, such as {"tenure": 12, "Contract": "Month-to-month"}.',
        ) from error
    if not isinstance(parsed, dict):
        raise _invalid(FieldProblem(BODY, "The body is not a JSON object.", "Send one customer as {...}."))
    return parsed


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a name that is given twice is refused, for either value could be meant."""
    named: dict[str, Any] = {}
    for name, value in pairs:
        if name in named:
            raise _invalid(FieldProblem(name[:100], f"{name[:100]} is given twice.", "Send it once."))
        named[name] = value
    return named


def _read_customer(body: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """The customer id and features of a body that keeps the contract."""
    try:
        customer_id, record = read_record(body)
    except ValidationError as error:
        raise _invalid(*field_problems(error)) from error
    if not record:
        raise _invalid(FieldProblem(BODY, "No field of the customer is known.", "Send at least one field."))
    return customer_id, record


def _invalid(*errors: FieldProblem) -> Problem:
    return Problem(
        422,
        "invalid-record",
        " ".join(error.message for error in errors),
        errors[0].next_step if len(errors) == 1 else "Correct every field listed under errors.",
        errors,
    )
