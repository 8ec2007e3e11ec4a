"""What every answer carries, what is logged about it, and what a defect looks like from outside."""

import json
import logging
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from churn_api.request_log import JsonLines
from tests.api.conftest import VERBATIM
from tests.api.test_predict import post, problem


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """What the API logs during a test, as it would be written."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Keep()
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("churn_api")
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def test_health_tells_the_model_and_the_registry(client: FlaskClient) -> None:
    response = client.get("/health")
    assert response.status_code == 200
    health = response.get_json()
    assert health["status"] == "alive"
    assert health["model_version"] == 1
    assert health["model_loaded_at"].startswith("20")
    assert health["registry"]["state"] == "reachable"
    assert health["registry"]["followed"] is True


@pytest.mark.parametrize("path", ["/health", "/predict", "/nothing"])
def test_every_answer_carries_the_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Access-Control-Allow-Origin" not in headers


def test_a_request_id_of_the_caller_is_kept_when_harmless(client: FlaskClient) -> None:
    assert client.get("/health", headers={"X-Request-ID": "night-42.a"}).headers["X-Request-ID"] == "night-42.a"
    for given in ("a b", "x" * 65, "<script>", "é"):
        answered = client.get("/health", headers={"X-Request-ID": given}).headers["X-Request-ID"]
        assert answered != given
        assert len(answered) == 32


def test_a_request_is_one_line_without_the_customer(client: FlaskClient, log_lines: list[str]) -> None:
    answer = client.post("/predict", json={**VERBATIM, "customerID": "0000-ABCDE"}).get_json()
    [line] = log_lines
    logged = json.loads(line)
    assert logged["request_id"] == answer["request_id"]
    assert (logged["method"], logged["path"], logged["status"]) == ("POST", "/predict", 200)
    assert logged["model_version"] == 1
    assert logged["milliseconds"] >= 0
    assert "7590" not in line
    assert "Electronic" not in line


def test_a_caller_cannot_write_a_log_line_of_its_own(client: FlaskClient, log_lines: list[str]) -> None:
    client.get('/x%0d%0a{"level": "error", "message": "forged"}%1b[31m')
    client.post("/predict", json={'\n{"forged": 1}': "\r\nforged", "customerID": "\nforged", "tenure": 1})
    assert len(log_lines) == 2
    for line in log_lines:
        assert "\n" not in line
        assert "\r" not in line
        assert "\x1b" not in line
        assert "forged" not in json.loads(line)


def test_a_defect_is_a_problem_without_its_trace(app: Flask, log_lines: list[str]) -> None:
    app.add_url_rule("/defect", view_func=lambda: {}["secret of the house"])
    response = app.test_client().get("/defect")
    problem(response, 500)
    assert "secret" not in response.text
    assert "KeyError" not in response.text
    traces = [json.loads(line) for line in log_lines if "trace" in json.loads(line)]
    assert len(traces) == 1
    assert "secret of the house" in traces[0]["trace"]


def test_html_in_a_field_name_comes_back_as_json_only(client: FlaskClient) -> None:
    response = post(client, '{"<script>alert(1)</script>": 1}')
    problem(response, 422)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
