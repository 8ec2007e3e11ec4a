"""POST /predict answers what the Production model says, and names what is wrong with anything else."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from churn.columns import COLUMNS, FEATURE_NAMES, FEATURES, KEY
from churn.policy import Policy
from tests.api.conftest import VERBATIM, TestRegistry, draw_customers

JSON = {"Content-Type": "application/json"}


def post(client: FlaskClient, body: str | bytes) -> TestResponse:
    return client.post("/predict", data=body, headers=JSON)


def problem(response: TestResponse, status: int) -> dict[str, Any]:
    """The problem document of an answer, which must be one."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    document = json.loads(response.data)
    assert document["status"] == status
    assert document["detail"]
    assert document["next_step"]
    assert document["request_id"] == response.headers["X-Request-ID"]
    assert "Traceback" not in response.text
    return document


def test_the_request_that_users_already_send_is_answered(client: FlaskClient, registry: TestRegistry) -> None:
    response = client.post("/predict", json=VERBATIM)
    assert response.status_code == 200
    answer = response.get_json()
    assert answer["churn_probability"] == registry.models[1].predict_record(VERBATIM)
    assert 0 <= answer["churn_probability"] <= 1
    assert answer["risk_level"] == Policy().risk_level(answer["churn_probability"])
    assert answer["model_version"] == 1
    assert answer["unknown_fields"] == [name for name in FEATURE_NAMES if name not in VERBATIM]
    assert answer["request_id"] == response.headers["X-Request-ID"]
    assert "customer_id" not in answer


def test_every_answer_equals_the_model_on_the_same_rows(client: FlaskClient, registry: TestRegistry) -> None:
    customers = draw_customers(200, seed=99)
    expected = registry.models[1].predict(customers)
    for row, probability in zip(json.loads(customers.to_json(orient="records")), expected, strict=True):
        answer = client.post("/predict", json=row).get_json()
        assert answer["churn_probability"] == probability
        assert answer["customer_id"] == row[KEY.name]
        assert answer["unknown_fields"] == []


@pytest.mark.parametrize(
    ("given_fields", "unknown"),
    [
        ({"tenure": 3}, set(FEATURE_NAMES) - {"tenure"}),
        ({"tenure": 3, "Contract": None}, set(FEATURE_NAMES) - {"tenure"}),
        ({"tenure": 3, "Contract": "Ten years"}, set(FEATURE_NAMES) - {"tenure"}),
        ({"tenure": 3.0, "Contract": "One year"}, set(FEATURE_NAMES) - {"tenure", "Contract"}),
    ],
    ids=["left out", "null", "a category nobody knows", "a whole number with a point"],
)
def test_unknown_fields_are_listed(client: FlaskClient, given_fields: dict[str, Any], unknown: set[str]) -> None:
    response = client.post("/predict", json=given_fields)
    assert response.status_code == 200
    assert set(response.get_json()["unknown_fields"]) == unknown


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"tenure": "twelve"}', "tenure"),
        ('{"tenure": "12"}', "tenure"),
        ('{"tenure": 12.5}', "tenure"),
        ('{"tenure": -1}', "tenure"),
        ('{"tenure": 601}', "tenure"),
        ('{"tenure": true}', "tenure"),
        ('{"tenure": [12]}', "tenure"),
        ('{"tenure": {"months": 12}}', "tenure"),
        ('{"tenure": 1' + "0" * 400 + "}", "tenure"),
        ('{"MonthlyCharges": NaN}', "MonthlyCharges"),
        ('{"MonthlyCharges": Infinity}', "MonthlyCharges"),
        ('{"MonthlyCharges": -Infinity}', "MonthlyCharges"),
        ('{"MonthlyCharges": 1e999}', "MonthlyCharges"),
        ('{"MonthlyCharges": -0.01}', "MonthlyCharges"),
        ('{"MonthlyCharges": 1000.01}', "MonthlyCharges"),
        ('{"MonthlyCharges": false}', "MonthlyCharges"),
        ('{"TotalCharges": " "}', "TotalCharges"),
        ('{"SeniorCitizen": 2}', "SeniorCitizen"),
        ('{"SeniorCitizen": "Yes"}', "SeniorCitizen"),
        ('{"Contract": 1}', "Contract"),
        ('{"Contract": true}', "Contract"),
        ('{"Contract": ["One year"]}', "Contract"),
        ('{"Contract": ""}', "Contract"),
        ('{"Contract": "\\ud800"}', "Contract"),
        ('{"Contract": "' + "x" * 101 + '"}', "Contract"),
        ('{"customerID": 7590, "tenure": 1}', "customerID"),
        ('{"Churn": "Yes", "tenure": 1}', "Churn"),
        ('{"tenure": 1, "tenure": 2}', "tenure"),
        ('{"favourite_colour": "blue"}', "favourite_colour"),
        ('{"tenure": 1, "nested": ' + '{"a": ' * 50 + "1" + "}" * 50 + "}", "nested"),
        ("{}", "(body)"),
        ('{"tenure": null}', "(body)"),
        ("[]", "(body)"),
        ('[{"tenure": 1}]', "(body)"),
        ('"tenure"', "(body)"),
        ("12", "(body)"),
        ("null", "(body)"),
    ],
)
def test_garbage_is_refused_with_the_field_named(client: FlaskClient, body: str, field: str) -> None:
    document = problem(post(client, body), 422)
    assert field in [error["field"] for error in document["errors"]]
    assert all(error["message"] and error["next_step"] for error in document["errors"])


def test_every_wrong_field_is_named_at_once(client: FlaskClient) -> None:
    document = problem(post(client, '{"tenure": -1, "Contract": 5, "zzz": 1, "Partner": "Yes"}'), 422)
    assert {error["field"] for error in document["errors"]} == {"tenure", "Contract", "zzz"}


@pytest.mark.parametrize(
    ("sent", "meant"),
    [("monthly_charges", "MonthlyCharges"), ("Tenure", "tenure"), ("customer_id", "customerID"),
     ("senior-citizen", "SeniorCitizen"), ("PaymentMetod", "PaymentMethod")],
)  # fmt: skip
def test_a_misspelt_field_is_answered_with_the_likely_one(client: FlaskClient, sent: str, meant: str) -> None:
    [error] = problem(client.post("/predict", json={sent: 1}), 422)["errors"]
    assert f"Did you mean {meant}?" in error["next_step"]


def test_a_refusal_repeats_no_value_of_the_customer(client: FlaskClient) -> None:
    response = client.post("/predict", json={"tenure": "SECRET-VALUE", "customerID": "SECRET-ID"})
    assert response.status_code == 422
    assert "SECRET" not in response.text


@pytest.mark.parametrize(
    "body",
    [b"", b"   ", b"{", b"tenure=12", b"{'tenure': 12}", b'{"tenure": 12,}', b"\xff\xfe\xfa", b"[" * 60_000,
     b'{"tenure": ' + b"9" * 5_000 + b"}", b'{"a":' * 10_000],
    ids=["empty", "blank", "cut off", "a form", "single quotes", "a comma too many", "no text",
         "brackets 60,000 deep", "a number of 5,000 digits", "objects 10,000 deep"],
)  # fmt: skip
def test_what_is_not_json_is_refused(client: FlaskClient, body: bytes) -> None:
    problem(post(client, body), 400)


def test_only_json_is_read(client: FlaskClient) -> None:
    problem(client.post("/predict", data={"tenure": 12}), 415)
    problem(client.post("/predict", data=json.dumps(VERBATIM), content_type="text/plain"), 415)
    assert (
        client.post("/predict", data=json.dumps(VERBATIM), content_type="application/json; charset=utf-8").status_code
        == 200
    )


def test_a_body_beyond_the_limit_is_refused(client: FlaskClient) -> None:
    padding = " " * (64 * 1024 - len(json.dumps(VERBATIM)))
    assert post(client, json.dumps(VERBATIM) + padding).status_code == 200
    problem(post(client, json.dumps(VERBATIM) + padding + " "), 413)
    problem(post(client, json.dumps({**VERBATIM, "customerID": "x" * 70_000})), 413)


def test_addresses_and_methods_that_do_not_exist_are_problems_too(client: FlaskClient) -> None:
    problem(client.get("/nothing/here"), 404)
    response = client.get("/predict")
    problem(response, 405)
    assert "POST" in response.headers["Allow"]


cells = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=120),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
    st.sampled_from([category for column in COLUMNS for category in column.categories]),
)  # fmt: skip
names = st.one_of(st.sampled_from([column.name for column in COLUMNS]), st.text(max_size=20))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(body=st.dictionaries(names, cells, max_size=20))
def test_no_field_value_makes_the_server_fail(client: FlaskClient, body: dict[str, Any]) -> None:
    response = post(client, json.dumps(body))
    assert response.status_code in (200, 422), response.text
    json.loads(response.data)


valid_records = st.fixed_dictionaries(
    {},
    optional={
        column.name: st.sampled_from(column.categories)
        if column.categories
        else st.integers(int(column.minimum or 0), int(column.maximum or 0))
        if column.kind == "integer"
        else st.floats(column.minimum, column.maximum)
        for column in FEATURES
    },
).filter(bool)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(record=valid_records)
def test_every_record_that_keeps_the_contract_is_scored(
    client: FlaskClient, registry: TestRegistry, record: dict[str, Any]
) -> None:
    answer = client.post("/predict", json=record).get_json()
    assert answer["churn_probability"] == registry.models[1].predict_record(record)
    assert set(answer["unknown_fields"]) == set(FEATURE_NAMES) - set(record)
