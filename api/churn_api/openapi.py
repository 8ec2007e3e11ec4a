"""The API described by itself: OpenAPI 3.1 out of the pydantic schemas, and a page of it that needs no network."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from flask import Blueprint, Response, current_app, render_template
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from churn.columns import MAXIMUM_KEY_LENGTH
from churn_api.auth import KEY_HEADER, anyone
from churn_api.batch_rows import MAXIMUM_ROWS, BatchAnswer
from churn_api.customers import CustomerScores
from churn_api.explain import Explanation
from churn_api.health import Health
from churn_api.model import ModelCard
from churn_api.predict import Prediction
from churn_api.problems import MEDIA_TYPE, ProblemDocument
from churn_api.schemas import CustomerRecord

JSON, CSV, TEXT = "application/json", "text/csv", "text/plain"
Schema = dict[str, Any]
blueprint = Blueprint("openapi", __name__)

PROBLEMS = {
    400: "The body cannot be read.",
    401: "No API key, or one that is unknown, expired or revoked.",
    403: "The API key lacks the scope that is needed here.",
    404: "There is no such customer.",
    406: "The answer cannot be given as Accept asks.",
    409: "A request with the same Idempotency-Key is being answered.",
    413: "The body is too large.",
    415: "The body is not declared as what is read here.",
    422: "A field breaks the contract; each is listed under `errors`.",
    429: "The API key has asked more than its limit.",
    503: "No model yet, or no database where one is needed.",
}
REQUEST_ID: Schema = {"X-Request-ID": {"description": "The caller's where harmless.", "schema": {"type": "string"}}}
CUSTOMER_ID: Schema = {
    "name": "customer_id", "in": "path", "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": MAXIMUM_KEY_LENGTH},
}  # fmt: skip
IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "description": "The same key with the same request gives the same answer for a day.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
}  # fmt: skip


def _ref(model: type[BaseModel]) -> Schema:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


@dataclass(frozen=True)
class Operation:
    """One method of one address: what it takes and answers, by media type, and the problems that it may give."""

    path: str
    method: str
    endpoint: str  # of Flask, which has the text and the scope
    answers: Mapping[str, Schema]
    problems: Sequence[int] = ()
    takes: Mapping[str, Schema] = field(default_factory=dict)
    parameters: Sequence[Schema] = ()


ONE: Schema = {JSON: _ref(CustomerRecord)}
MANY: Schema = {
    JSON: {"type": "array", "minItems": 1, "maxItems": MAXIMUM_ROWS, "items": _ref(CustomerRecord)},
    CSV: {"type": "string", "description": "A line with the names of the fields, then a line a customer."},
}
CALLER_PROBLEMS = (401, 403, 429)
SECURITY_SCHEMES: Schema = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Asked for once a key was ever made."},
    "header": {"type": "apiKey", "in": "header", "name": KEY_HEADER, "description": "The same key."},
}
ONE_PROBLEMS, BATCH_PROBLEMS = (400, 413, 415, 422, 503), (400, 406, 409, 413, 415, 422, 503)
ANY_TEXT: Schema = {"type": "string"}
OPERATIONS = (
    Operation("/v1/predict", "post", "predict.predict", {JSON: _ref(Prediction)}, ONE_PROBLEMS, ONE),
    Operation("/predict", "post", "predict.predict", {JSON: _ref(Prediction)}, ONE_PROBLEMS, ONE),
    Operation(
        "/v1/predict/batch", "post", "batch.predict_batch", {JSON: _ref(BatchAnswer), CSV: ANY_TEXT},
        BATCH_PROBLEMS, MANY, (IDEMPOTENCY_KEY,),
    ),
    Operation("/v1/explain", "post", "explain.explain", {JSON: _ref(Explanation)}, ONE_PROBLEMS, ONE),
    Operation(
        "/v1/customers/{customer_id}/score", "get", "customers.customer_score", {JSON: _ref(CustomerScores)},
        (404, 503), parameters=(CUSTOMER_ID,),
    ),
    Operation("/v1/model", "get", "model.model", {JSON: _ref(ModelCard)}, (503,)),
    Operation("/health", "get", "health.health", {JSON: _ref(Health)}),
    Operation("/ready", "get", "health.ready", {JSON: _ref(Health)}, (503,)),
    Operation("/metrics", "get", "metrics.metrics", {TEXT: ANY_TEXT}),
)  # fmt: skip


@blueprint.get("/v1/openapi.json")
@anyone
def openapi() -> Response:
    """This description as OpenAPI 3.1."""
    return Response(json.dumps(describe()), content_type=JSON)


@blueprint.get("/v1/docs")
@anyone
def docs() -> Response:
    """This description as a page for people, without a script and without anything from elsewhere."""
    nonce = secrets.token_urlsafe(16)
    page = Response(render_template("docs.html", document=describe(), nonce=nonce))
    policy = f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'"
    page.headers["Content-Security-Policy"] = policy
    return page


def describe() -> Schema:
    """The OpenAPI document of the app in whose context it is asked for."""
    _, definitions = models_json_schema(
        [
            (CustomerRecord, "validation"),
            *((model, "serialization") for model in (
                Prediction, Explanation, BatchAnswer, CustomerScores, ModelCard, Health, ProblemDocument)),
        ],
        ref_template="#/components/schemas/{model}",
    )  # fmt: skip
    paths: dict[str, Schema] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Churn",
            "version": version("churn"),
            "description": "On-demand answers from the Production model, equal to last night's table.",
        },
        "paths": paths,
        "components": {"schemas": definitions["$defs"], "securitySchemes": SECURITY_SCHEMES},
    }


def _operation(operation: Operation) -> Schema:
    view = current_app.view_functions[operation.endpoint]
    scope = getattr(view, "needed_scope", None)
    problems = sorted({*operation.problems, *(CALLER_PROBLEMS if scope else ())})
    described: Schema = {
        "operationId": operation.endpoint.rpartition(".")[2] + ("" if operation.path != "/predict" else "_unversioned"),
        "summary": (view.__doc__ or "").partition("\n")[0],
        "responses": {
            "200": {"description": "Answered.", "headers": REQUEST_ID, "content": _content(operation.answers)},
            **{str(status): _problem(PROBLEMS[status]) for status in problems},
            "default": _problem("Anything else that went wrong."),
        },
    }
    if operation.parameters:
        described["parameters"] = list(operation.parameters)
    if operation.takes:
        described["requestBody"] = {"required": True, "content": _content(operation.takes)}
    if scope:
        described |= {"security": [{}, *({name: []} for name in SECURITY_SCHEMES)], "x-needed-scope": scope}
    return described


def _content(by_type: Mapping[str, Schema]) -> Schema:
    return {media_type: {"schema": schema} for media_type, schema in by_type.items()}


def _problem(description: str) -> Schema:
    return {"description": description, "headers": REQUEST_ID, "content": _content({MEDIA_TYPE: _ref(ProblemDocument)})}
