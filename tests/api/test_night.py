"""The endpoint beside a published night: the same probability, reasons and decile, and what was published before."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from churn.columns import FEATURES, KEY
from churn.db.database import Database
from churn.jobs.score_customers import score_customers
from churn.services import Services
from churn_api.batch_rows import BatchAnswer
from churn_api.customers import CustomerScores
from churn_api.explain import Explanation
from churn_api.health import Health
from churn_api.model import ModelCard
from churn_api.night import Night
from churn_api.predict import Prediction
from tests.api.test_predict import problem
from tests.conftest import TestDatabase
from tests.jobs import DAY, admit_simulated
from tests.nights import published as published_table

FIELDS = (KEY, *FEATURES)


@pytest.fixture
def caller(night_app: Flask) -> FlaskClient:
    return night_app.test_client()


def bodies(database: Database) -> list[dict[str, object]]:
    """The customers of the snapshot as they would be sent."""
    with database.transaction() as connection:
        rows = connection.execute("SELECT * FROM churn.customers ORDER BY customer_id").fetchall()
    return [{column.name: row[column.sql_name] for column in FIELDS} for row in rows]


def test_every_customer_gets_the_published_row(caller: FlaskClient, published: Services) -> None:
    table = published_table(published.database).set_index("customer_id")
    customers = bodies(published.database)
    assert len(customers) == len(table) == 300
    for body in customers:
        answer = caller.post("/v1/predict", json=body).get_json()
        row = table.loc[body["customerID"]]
        assert answer["churn_probability"] == row.churn_probability
        assert (answer["decile"], answer["risk_level"]) == (row.decile, row.risk_level)
        assert answer["reasons"] == row.reasons
        assert answer["model_version"] == row.model_version
        Prediction.model_validate(answer)


def test_a_batch_says_of_each_customer_what_a_single_request_says(caller: FlaskClient, published: Services) -> None:
    customers = bodies(published.database)
    answer = caller.post("/v1/predict/batch", json=customers).get_json()
    BatchAnswer.model_validate(answer)
    assert (answer["row_count"], answer["scored_count"]) == (300, 300)
    for body, row in list(zip(customers, answer["rows"], strict=True))[::10]:
        alone = caller.post("/v1/predict", json=body).get_json()
        assert {**row, "request_id": 0} == {**alone, "row": row["row"], "status": "scored", "request_id": 0}


def test_a_customer_is_looked_up_with_the_nights_before(caller: FlaskClient, published: Services) -> None:
    before = published_table(published.database).set_index("customer_id")
    admit_simulated(published, 300, day=DAY + timedelta(days=1))
    score_customers(published)
    after = published_table(published.database).set_index("customer_id")
    for customer_id in after.index[:5]:
        answer = caller.get(f"/v1/customers/{customer_id}/score").get_json()
        CustomerScores.model_validate(answer)
        assert answer["score"]["churn_probability"] == after.loc[customer_id, "churn_probability"]
        assert answer["score"]["reasons"] == after.loc[customer_id, "reasons"]
        assert [row["is_current"] for row in answer["history"]] == [True, False]
        assert answer["history"][1]["churn_probability"] == before.loc[customer_id, "churn_probability"]
        assert answer["history"][1]["snapshot_date"] == str(DAY)


@pytest.mark.parametrize("customer_id", ["nobody", "x" * 65, "%00", "'; DROP TABLE churn.scores; --", "<script>"])
def test_a_customer_whom_no_night_knows_is_not_found(caller: FlaskClient, customer_id: str) -> None:
    problem(caller.get(f"/v1/customers/{customer_id}/score"), 404)


def test_deciles_follow_the_published_run(night_app: Flask, published: Services) -> None:
    night: Night = night_app.extensions["night"]
    before = night.run
    admit_simulated(published, 300, day=DAY + timedelta(days=1), seed=9)
    score_customers(published)
    night.look()
    assert before is not None
    assert night.run is not None
    assert night.run.scoring_run_id > before.scoring_run_id
    table = published_table(published.database).set_index("customer_id")
    caller = night_app.test_client()
    for body in bodies(published.database)[:50]:
        assert caller.post("/v1/predict", json=body).get_json()["decile"] == table.loc[body["customerID"], "decile"]


def test_an_explanation_adds_up_and_leads_with_the_reasons(caller: FlaskClient, published: Services) -> None:
    for body in bodies(published.database)[:10]:
        answer = caller.post("/v1/explain", json=body).get_json()
        Explanation.model_validate(answer)
        assert answer["scale"] == "log odds"
        sizes = [abs(row["contribution"]) for row in answer["contributions"]]
        assert sizes == sorted(sizes, reverse=True)
        assert {row["field"] for row in answer["contributions"]} == {column.name for column in FEATURES}
        raised = [row for row in answer["contributions"] if row["contribution"] > 0]
        assert len(answer["reasons"]) == min(3, len(raised))
        for row in answer["contributions"]:
            assert row["value"] == body[row["field"]]


def test_the_model_is_told_with_what_the_ledger_knows(caller: FlaskClient, published: Services) -> None:
    version = published.registry.production_version()
    card = ModelCard.model_validate(caller.get("/v1/model").get_json())
    assert card.model_version == version.version
    assert card.digest == version.digest
    assert (card.stage, card.kind) == ("production", "logistic")
    assert card.measures is None  # it was not the gate that promoted it
    with published.database.transaction() as connection:
        connection.execute(
            "INSERT INTO churn.promotions (decision, model_version, reason, evidence, policy)"
            """ VALUES ('promoted', %s, 'better', '{"holdout": {"row_count": 60}}', '{}')""",
            (version.version,),
        )
    card = ModelCard.model_validate(caller.get("/v1/model").get_json())
    assert card.measures == {"row_count": 60}
    assert (card.decision, card.reason) == ("promoted", "better")
    assert card.serving_since is not None


def test_it_is_ready_while_model_and_database_are_there(
    night_app: Flask, published: Services, night_database: TestDatabase
) -> None:
    caller, night = night_app.test_client(), night_app.extensions["night"]
    ready = Health.model_validate(caller.get("/ready").get_json())
    assert ready.status == "ready"
    assert ready.model_version == published.registry.production_version().version
    assert ready.scoring_run_id == night.run.scoring_run_id
    with night_database.as_role("postgres").transaction() as connection:
        connection.execute("UPDATE churn.schema_version SET version_num = '0000'")
    night.look()
    document = problem(caller.get("/ready"), 503)
    assert [error["field"] for error in document["errors"]] == ["database"]
    assert "churn db migrate" in document["next_step"]
    assert caller.get("/health").get_json()["database"]["state"] == "schema behind"


def test_a_database_that_is_away_stops_no_prediction(night_app: Flask, published: Services) -> None:
    night: Night = night_app.extensions["night"]
    caller, body = night_app.test_client(), bodies(published.database)[0]
    before = caller.post("/v1/predict", json=body).get_json()
    night.database = Database("postgresql://churn_api:only-for-tests@127.0.0.1:9/churn")
    night.look()
    after = caller.post("/v1/predict", json=body).get_json()
    assert {**after, "request_id": ""} == {**before, "request_id": ""}
    assert problem(caller.get("/ready"), 503)["errors"][0]["field"] == "database"
    assert "only-for-tests" not in problem(caller.get("/v1/customers/x/score"), 503)["detail"]
    assert ModelCard.model_validate(caller.get("/v1/model").get_json()).serving_since is None
    keyed = {"Idempotency-Key": "k"}
    assert "without Idempotency-Key" in problem(
        caller.post("/v1/predict/batch", json=[body], headers=keyed), 503
    )["next_step"]  # fmt: skip
