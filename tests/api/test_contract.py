"""The API against its own OpenAPI document: Schemathesis sends what fits and what does not to every operation."""

import re

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from churn_api.openapi import OPERATIONS, Operation
from tests.api.conftest import VERBATIM
from tests.api.test_batch import send_csv
from tests.api.test_predict import problem

CHECKS = [
    not_a_server_error, content_type_conformance, response_headers_conformance, response_schema_conformance,
    status_code_conformance, unsupported_method,
]  # fmt: skip
BATCH = "/v1/predict/batch"


@schemathesis.serializer("text/csv")
def csv_as_it_is(_context: schemathesis.SerializationContext, value: object) -> bytes:
    """Any text may be sent as a table."""
    return str(value).encode("utf-8", "replace")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "broken"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.path)
def test_the_api_keeps_to_its_own_document(night_app: Flask, operation: Operation, mode: GenerationMode) -> None:
    if mode is GenerationMode.NEGATIVE and not (operation.takes or operation.parameters):
        return  # nothing that could be broken
    document = schemathesis.openapi.from_wsgi("/v1/openapi.json", night_app)
    cases = document[operation.path][operation.method.upper()].as_strategy(generation_mode=mode)
    # A row of a batch that breaks the contract is refused by itself, inside an answer.
    checks = [*CHECKS, *([] if operation.path == BATCH else [negative_data_rejection])]

    @settings(max_examples=40, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def holds(case: Case) -> None:
        case.call_and_validate(checks=checks)

    holds()


def test_every_address_is_described_and_every_description_has_an_address(night_app: Flask) -> None:
    pages = {"/v1/openapi.json", "/v1/docs"}
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in night_app.url_map.iter_rules()
        if not rule.endpoint.startswith("page.")  # for browsers
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(operation.path, operation.method) for operation in OPERATIONS}
    assert {(path, method) for path, method in served if path not in pages} == described


def test_every_address_but_health_declares_its_scope(night_app: Flask) -> None:
    document = night_app.test_client().get("/v1/openapi.json").get_json()
    scopes = {path: next(iter(methods.values())).get("x-needed-scope") for path, methods in document["paths"].items()}
    assert scopes.pop("/health") is None
    assert scopes.pop("/ready") is None
    assert set(scopes.values()) == {"predict", "explain", "read", "metrics"}


def test_the_docs_page_names_every_address_and_loads_nothing(client: FlaskClient) -> None:
    page = client.get("/v1/docs")
    assert page.status_code == 200
    assert page.mimetype == "text/html"
    for operation in OPERATIONS:
        assert f"<code>{operation.path}</code>" in page.text
    assert "Undefined" not in page.text
    assert not re.search(r"<script|<link|src=|@import|url\(", page.text)
    assert re.search(r"style-src 'nonce-([\w-]+)'", page.headers["Content-Security-Policy"])[1] in page.text  # type: ignore[index]


def test_the_numbers_count_what_was_answered(client: FlaskClient) -> None:
    def count(line: str) -> float:
        found = re.search(rf"^{re.escape(line)} (\S+)$", client.get("/metrics").text, re.M)
        return float(found[1]) if found else 0.0

    answered = 'churn_api_requests_total{method="POST",route="/v1/predict",status="200"}'
    refused = 'churn_api_requests_total{method="other",route="none",status="404"}'
    before = count(answered), count(refused)
    client.post("/v1/predict", json=VERBATIM)
    client.open("/some/made/up/path", method="BREW")
    assert (count(answered), count(refused)) == (before[0] + 1, before[1] + 1)
    assert count('churn_api_model_version{alias="production"}') == 1


HOSTILE = ["'; DROP TABLE churn.scores; --", '<script>alert("x")</script>', "{{7*7}}", "a\r\nSet-Cookie: b", "\x00"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_any_field_is_data(client: FlaskClient, text: str) -> None:
    for field in ("Contract", "customerID"):
        answer = client.post("/v1/predict", json={**VERBATIM, field: text})
        assert answer.status_code == 200
        assert answer.mimetype == "application/json"
        assert text not in answer.text or field == "customerID"
    problem(client.post("/v1/predict", json={**VERBATIM, text: "x"}), 422)
    assert send_csv(client, f'tenure,Contract\n1,"{text}"\n').mimetype in ("text/csv", "application/problem+json")
