"""POST /v1/predict/batch scores what can be scored and says of the rest why not."""

import csv
import io
import json
import threading
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from churn.columns import FEATURES
from churn_api.batch_rows import MAXIMUM_ROWS, BatchAnswer
from tests.api.conftest import VERBATIM, TestRegistry, draw_customers
from tests.api.test_predict import problem
from tests.conftest import TestDatabase
from tests.factories import customer_row

CSV = {"Content-Type": "text/csv"}


def send_csv(client: FlaskClient, text: str | bytes, **headers: str) -> TestResponse:
    return client.post("/v1/predict/batch", data=text, headers={**CSV, **headers})


def table(*rows: dict[str, str]) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def read_csv(response: TestResponse) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    assert response.content_type == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.text)))


def test_a_bad_row_keeps_no_other_from_its_answer(client: FlaskClient, registry: TestRegistry) -> None:
    sent: list[Any] = [
        {**VERBATIM, "customerID": "first"}, {"tenure": -1, "customerID": "second"}, 7, None, [], {},
        {"Tenure": 3}, {"Churn": "Yes"}, {"tenure": 3, "customerID": "last"},
    ]  # fmt: skip
    answer = client.post("/v1/predict/batch", json=sent).get_json()
    BatchAnswer.model_validate(answer)
    rows = answer["rows"]
    assert [row["status"] for row in rows] == ["scored", *["refused"] * 7, "scored"]
    assert [row["row"] for row in rows] == list(range(1, 10))
    assert (answer["row_count"], answer["scored_count"], answer["refused_count"]) == (9, 2, 7)
    assert rows[0]["churn_probability"] == registry.models[1].predict_record(VERBATIM)
    assert [row["customer_id"] for row in rows] == ["first", "second", *[None] * 6, "last"]
    assert rows[1]["errors"][0]["field"] == "tenure"
    assert "Did you mean tenure?" in rows[6]["errors"][0]["next_step"]


def test_a_name_that_is_given_twice_refuses_its_row_only(client: FlaskClient) -> None:
    body = '[{"tenure": 1, "tenure": 2}, {"tenure": 1}]'
    answer = client.post("/v1/predict/batch", data=body, content_type="application/json").get_json()
    assert [row["status"] for row in answer["rows"]] == ["refused", "scored"]


def test_the_largest_batch_is_answered_whole_and_one_more_refused(client: FlaskClient, registry: TestRegistry) -> None:
    customers = draw_customers(MAXIMUM_ROWS, seed=5)
    rows = json.loads(customers.to_json(orient="records"))
    answer = client.post("/v1/predict/batch", json=rows).get_json()
    assert answer["scored_count"] == MAXIMUM_ROWS
    expected = registry.models[1].predict(customers)
    assert [row["churn_probability"] for row in answer["rows"]] == expected.tolist()
    problem(client.post("/v1/predict/batch", json=[*rows, rows[0]]), 413)


def test_csv_and_json_get_the_same_answers(client: FlaskClient) -> None:
    customers = draw_customers(40, seed=11)
    as_json = client.post("/v1/predict/batch", json=json.loads(customers.to_json(orient="records"))).get_json()["rows"]
    as_csv = read_csv(send_csv(client, customers.to_csv(index=False)))
    for expected, row in zip(as_json, as_csv, strict=True):
        assert row["status"] == "scored"
        assert float(row["churn_probability"]) == expected["churn_probability"]
        assert int(row["decile"]) == expected["decile"]
        reasons = [row[f"reason_{number}"] for number in (1, 2, 3)]
        assert [reason for reason in reasons if reason] == expected["reasons"]
        action = expected["recommended_action"]
        assert row["recommended_action"] == (action["words"] if action else "")


def test_accept_chooses_the_form_of_the_answer(client: FlaskClient) -> None:
    text = table(customer_row())
    assert send_csv(client, text, Accept="application/json").get_json()["scored_count"] == 1
    assert len(read_csv(client.post("/v1/predict/batch", json=[VERBATIM], headers={"Accept": "text/csv"}))) == 1
    assert send_csv(client, text, Accept="*/*").mimetype == "text/csv"
    problem(send_csv(client, text, Accept="image/png"), 406)
    problem(client.post("/v1/predict/batch", data="x", content_type="text/plain"), 415)


def test_an_extract_is_scored_as_it_is_landed(client: FlaskClient, registry: TestRegistry) -> None:
    """The label is not looked at, blank is unknown, and nothing is billed in the first month."""
    rows = [customer_row(customerID=" new ", tenure="0", TotalCharges=" "), customer_row(tenure="5", TotalCharges="")]
    new, old = read_csv(send_csv(client, b"\xef\xbb\xbf" + table(*rows).encode()))
    record = {column.name: rows[0][column.name] for column in FEATURES} | {"TotalCharges": "0"}
    assert float(new["churn_probability"]) == registry.models[1].predict_record(record)
    assert (new["customer_id"], new["unknown_fields"]) == ("new", "")
    assert old["unknown_fields"] == "TotalCharges"


@pytest.mark.parametrize(
    ("change", "field"),
    [({"tenure": "a lot"}, "tenure"), ({"tenure": "1.5"}, "tenure"), ({"MonthlyCharges": "1_000"}, "MonthlyCharges"),
     ({"MonthlyCharges": "nan"}, "MonthlyCharges"), ({"TotalCharges": "inf"}, "TotalCharges"),
     ({"SeniorCitizen": "2"}, "SeniorCitizen"), ({"Contract": "x" * 101}, "Contract")],
)  # fmt: skip
def test_a_cell_that_breaks_the_contract_refuses_its_line(
    client: FlaskClient, change: dict[str, str], field: str
) -> None:
    refused, scored = read_csv(send_csv(client, table(customer_row(**change), customer_row())))
    assert (refused["status"], scored["status"]) == ("refused", "scored")
    assert field in refused["problem"]
    assert refused["customer_id"] == "0001-AAAAA"


def test_a_line_of_another_length_is_refused_alone(client: FlaskClient) -> None:
    rows = read_csv(send_csv(client, "tenure,Contract\n1,One year,2\n\n1\n2,Two year\n"))
    assert [row["status"] for row in rows] == ["refused", "refused", "scored"]


@pytest.mark.parametrize(
    ("body", "status"),
    [("", 400), ("\n", 422), ("tenure\n", 422), ("Tenure\n1\n", 422), ("tenure,tenure\n1,2\n", 422),
     ("tenure;Contract\n1;One year\n", 422), ('tenure\n"1', 400), (b"\xff\xfe", 400),
     ("tenure\n" + "1\n" * 10_001, 413)],
)  # fmt: skip
def test_a_table_that_is_none_is_refused_whole(client: FlaskClient, body: str | bytes, status: int) -> None:
    problem(send_csv(client, body), status)


@pytest.mark.parametrize(
    ("body", "status"), [("", 400), ("{", 400), ("{}", 422), ("[]", 422), ("7", 422), ("[" * 60_000, 400)]
)
def test_a_body_that_is_no_list_is_refused_whole(client: FlaskClient, body: str, status: int) -> None:
    problem(client.post("/v1/predict/batch", data=body, content_type="application/json"), status)


def test_a_batch_beyond_its_bytes_is_refused(client: FlaskClient) -> None:
    body = json.dumps([VERBATIM]).encode()
    limit = 16 * 1024 * 1024
    padded = body + b" " * (limit - len(body))
    assert client.post("/v1/predict/batch", data=padded, content_type="application/json").status_code == 200
    problem(client.post("/v1/predict/batch", data=padded + b" ", content_type="application/json"), 413)
    problem(client.post("/predict", data=padded, content_type="application/json"), 413)


def test_a_spreadsheet_runs_nothing_that_a_customer_id_says(client: FlaskClient) -> None:
    ids = ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)"]
    rows = read_csv(send_csv(client, table(*(customer_row(customerID=each) for each in ids))))
    assert [row["customer_id"] for row in rows] == [f"'{each}" for each in ids]


def test_a_key_needs_somewhere_to_keep_the_answer(client: FlaskClient) -> None:
    document = problem(client.post("/v1/predict/batch", json=[VERBATIM], headers={"Idempotency-Key": "a"}), 503)
    assert "without Idempotency-Key" in document["next_step"]


def keyed(app: Flask, key: str, body: Any, **headers: str) -> TestResponse:
    return app.test_client().post("/v1/predict/batch", json=body, headers={"Idempotency-Key": key, **headers})


def test_the_same_key_gives_the_same_answer_and_no_other_request_its(night_app: Flask) -> None:
    body = [VERBATIM, {"tenure": -1}]
    first, again = keyed(night_app, "k-1", body), keyed(night_app, "k-1", body)
    assert first.status_code == again.status_code == 200
    assert again.data == first.data
    assert "Idempotent-Replay" not in first.headers
    assert again.headers["Idempotent-Replay"] == "true"
    assert keyed(night_app, "k-2", body).get_json()["request_id"] != first.get_json()["request_id"]
    problem(keyed(night_app, "k-1", [VERBATIM]), 422)
    problem(keyed(night_app, "k-1", body, Accept="text/csv"), 422)
    for bad in ("", "x" * 129, "a b"):
        problem(keyed(night_app, bad, body), 400)


def test_a_request_that_failed_leaves_its_key_free(night_app: Flask) -> None:
    problem(keyed(night_app, "k-3", []), 422)
    assert keyed(night_app, "k-3", [VERBATIM]).status_code == 200


def test_many_at_once_under_one_key_are_answered_once(night_app: Flask) -> None:
    body, answers = json.loads(draw_customers(500, seed=3).to_json(orient="records")), []
    gate = threading.Barrier(6)

    def ask() -> None:
        gate.wait()
        answers.append(keyed(night_app, "k-4", body))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.data for answer in answers if answer.status_code == 200}) == 1
    assert all(problem(answer, 409)["next_step"] for answer in answers if answer.status_code == 409)


def test_an_answer_is_forgotten_after_a_day(night_app: Flask, night_database: TestDatabase) -> None:
    first = keyed(night_app, "k-5", [VERBATIM])
    with night_database.as_role("postgres").transaction() as connection:
        connection.execute("UPDATE serving.kept_answers SET answered_at = now() - interval '25 hours'")
    later = keyed(night_app, "k-5", [VERBATIM])
    assert later.get_json()["request_id"] != first.get_json()["request_id"]
    with night_database.as_role("postgres").transaction() as connection:
        assert connection.execute("SELECT count(*) AS n FROM serving.kept_answers").fetchone() == {"n": 1}
