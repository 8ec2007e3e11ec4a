"""The body of a request: read within its limit, understood as JSON, held to the contract of a customer."""

import json
from typing import Any

from flask import request
from pydantic import ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from churn_api.problems import FieldProblem, Problem
from churn_api.schemas import field_problems, read_record

MAXIMUM_BODY_BYTES = 64 * 1024
BODY = "(body)"
SMALLER = "Send one customer, in at most 64 KiB; POST /v1/predict/batch takes many."
ONE_CUSTOMER = 'Send one JSON object, such as {"tenure": 12, "Contract": "Month-to-month"}.'


class Repeated(dict[str, Any]):
    """A JSON object in which `name` is given twice: either value could be meant."""

    def __init__(self, named: dict[str, Any], name: str) -> None:
        super().__init__(named)
        self.name = name


def read_body(maximum_bytes: int, next_step: str) -> bytes:
    """The whole body; beyond the limit a Problem, however it was sent."""
    request.max_content_length = maximum_bytes + 1
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge as error:
        raise _too_large(maximum_bytes, next_step) from error
    if len(body) > maximum_bytes:  # a chunked body is cut off at the framework's limit, not refused
        raise _too_large(maximum_bytes, next_step)
    return body


def _too_large(maximum_bytes: int, next_step: str) -> Problem:
    return Problem(413, "too-large", f"The body is larger than {maximum_bytes // 1024} KiB.", next_step)


def parse_json(body: bytes, next_step: str) -> Any:
    """A body as JSON values, objects with a repeated name as Repeated; a Problem names what else it is."""
    try:
        return json.loads(body, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, brackets 10,000 deep
        detail = "The body is not JSON that can be read." if body.strip() else "The body is empty."
        raise Problem(400, "malformed-request", detail, next_step) from error


def read_one_customer() -> tuple[str | None, dict[str, Any]]:
    """The customer id and the known fields of the one customer that a request is about."""
    if not is_json(request.content_type):
        raise Problem(
            415,
            "not-json",
            "The body is not declared as JSON.",
            "Send it with Content-Type: application/json.",
        )
    try:
        return customer_of(parse_json(read_body(MAXIMUM_BODY_BYTES, SMALLER), ONE_CUSTOMER))
    except BadRecord as bad:
        raise invalid(*bad.errors) from bad


def is_json(content_type: str | None) -> bool:
    """Whether a body of that Content-Type is declared as JSON, whatever parameters it has."""
    return content_type is not None and content_type.partition(";")[0].strip().lower() == "application/json"


class BadRecord(ValueError):
    """A customer that breaks the contract, with every field that does."""

    def __init__(self, *errors: FieldProblem) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


def customer_of(parsed: Any) -> tuple[str | None, dict[str, Any]]:
    """The customer id and the known fields of one JSON object. Raises BadRecord."""
    if isinstance(parsed, Repeated):
        name = parsed.name[:100]
        raise BadRecord(FieldProblem(name, f"{name} is given twice.", "Send it once."))
    if not isinstance(parsed, dict):
        raise BadRecord(FieldProblem(BODY, "It is not a JSON object.", "Send one customer as {...}."))
    try:
        customer_id, record = read_record(parsed)
    except ValidationError as error:
        raise BadRecord(*field_problems(error)) from error
    if not record:
        raise BadRecord(FieldProblem(BODY, "No field of the customer is known.", "Send at least one field."))
    return customer_id, record


def invalid(*errors: FieldProblem) -> Problem:
    """The problem document of fields that break the contract."""
    return Problem(
        422,
        "invalid-record",
        " ".join(error.message for error in errors),
        errors[0].next_step if len(errors) == 1 else "Correct every field listed under errors.",
        errors,
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    repeated: str | None = None
    for name, value in pairs:
        if name in named:
            repeated = name
        named[name] = value
    return named if repeated is None else Repeated(named, repeated)
