"""The request log: what is kept, that no answer waits for it, that losses are counted, and how it is forgotten."""

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import requests
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from churn.cli import app as cli
from churn.db import answered_requests, api_requests
from churn.db.api_requests import Answer, Batch, LoggedRequest
from churn.db.database import Database
from churn.errors import LogRefused
from churn.jobs.forget_requests import drop_old_requests, erase_customer
from churn.platform.ports import LOOPBACK
from churn_api.journal import Journal
from tests.api.callers import api_over, batches, bearer, issue, logged, wait_until
from tests.api.conftest import VERBATIM, TestRegistry
from tests.conftest import TestDatabase, TestServer
from tests.server import Server, random_free_port

CUSTOMER = "T-00001"
AWAY = f"postgresql://churn_api:only-for-tests@{LOOPBACK}:9/churn"


@pytest.fixture
def app(registry: TestRegistry, churn_database: TestDatabase) -> Iterator[Flask]:
    """The API with a log."""
    with api_over(registry, churn_database) as made:
        yield made


@pytest.fixture
def api_role(churn_database: TestDatabase) -> Database:
    return churn_database.as_role("churn_api")


def request_of(customer_id: str = CUSTOMER, at: datetime | None = None, answers: int = 1) -> LoggedRequest:
    """A request as the API would log it."""
    answer = Answer(customer_id, {"tenure": 3, "Contract": "One year"}, 0.25, "low", 1, "production")
    return LoggedRequest(at or datetime.now(UTC), uuid4().hex, "/predict", 200, 1.5, None, None, (answer,) * answers)


def batch_of(*logged_requests: LoggedRequest) -> Batch:
    return Batch(uuid4(), "test:1", logged_requests, 0)


def test_an_answer_is_kept_with_what_was_asked_and_who_asked(
    registry: TestRegistry, churn_database: TestDatabase, pipeline: Database
) -> None:
    key = issue(pipeline)
    with api_over(registry, churn_database) as app:
        sent = {**VERBATIM, "customerID": CUSTOMER}
        answer = app.test_client().post("/predict", json=sent, headers=bearer(key)).get_json()
        refused = app.test_client().post("/predict", json={"tenure": "x"}, headers=bearer(key))
    first, second = logged(churn_database)
    assert first["request_id"] == answer["request_id"]
    assert first["customer_id"] == CUSTOMER
    assert first["inputs"] == VERBATIM
    assert first["churn_probability"] == answer["churn_probability"]
    assert (first["risk_level"], first["model_version"], first["arm"]) == (answer["risk_level"], 1, "production")
    assert (first["route"], first["status"]) == ("/predict", 200)
    assert 0 < first["milliseconds"] < 10_000
    assert key.split("_")[1] == first["key_id"]
    assert (second["request_id"], second["status"]) == (refused.headers["X-Request-ID"], 422)
    assert (first["problem"], second["problem"]) == (None, refused.get_json()["type"].rpartition(":")[2])
    assert (second["inputs"], second["churn_probability"]) == (None, None)


def test_who_is_not_let_in_writes_nothing(
    registry: TestRegistry, churn_database: TestDatabase, pipeline: Database
) -> None:
    issue(pipeline)
    with api_over(registry, churn_database) as app:
        client = app.test_client()
        assert client.post("/predict", json=VERBATIM).status_code == 401
        assert client.get("/nothing").status_code == 404
        assert client.get("/health").status_code == 200
    assert logged(churn_database) == []


def test_who_is_turned_away_is_counted(
    registry: TestRegistry, churn_database: TestDatabase, pipeline: Database
) -> None:
    key = issue(pipeline, requests_per_minute=6)  # a burst of one
    other = issue(pipeline, "bi", "read")
    with api_over(registry, churn_database) as app:
        client = app.test_client()
        statuses = [client.post("/predict", json=VERBATIM, headers=bearer(key)).status_code for _ in range(3)]
        assert statuses == [200, 429, 429]
        assert client.post("/predict", json=VERBATIM).status_code == 401
        assert client.post("/predict", json=VERBATIM, headers=bearer(other)).status_code == 403
    assert len(logged(churn_database)) == 1
    told = batches(churn_database)
    assert sum(batch["limited_count"] for batch in told) == 2
    assert sum(batch["denied_count"] for batch in told) == 2


def test_grafana_sees_the_traffic_and_nothing_of_a_customer(app: Flask, churn_database: TestDatabase) -> None:
    headers = {"X-Request-ID": CUSTOMER}
    app.test_client().post("/predict", json={**VERBATIM, "customerID": CUSTOMER}, headers=headers)
    wait_until(lambda: len(logged(churn_database)) == 1)
    with churn_database.as_role("grafana_reader").transaction() as connection:
        [row] = connection.execute("SELECT * FROM monitoring.api_requests").fetchall()
        lost = connection.execute("SELECT sum(dropped_count) AS lost FROM monitoring.api_log_batches").fetchone()
    assert set(row) == {
        "at", "route", "status", "milliseconds", "key_name", "arm", "model_version", "challenger_version",
        "churn_probability", "risk_level",
    }  # fmt: skip
    assert CUSTOMER not in repr(row)
    assert lost == {"lost": 0}


def test_an_answer_does_not_wait_for_a_database_that_hangs(app: Flask, churn_database: TestDatabase) -> None:
    """The whole log is locked by another session; requests are answered, and logged once it lets go."""
    client = app.test_client()
    with psycopg.connect(churn_database.as_role("postgres").url) as connection:
        connection.execute("LOCK TABLE churn.api_requests, churn.api_log_batches IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        for _ in range(20):
            assert client.post("/predict", json=VERBATIM).status_code == 200
        assert time.monotonic() - began < 5
        assert app.extensions["journal"].standing.waiting == 20
    wait_until(lambda: len(logged(churn_database)) == 20)
    assert app.extensions["journal"].standing.waiting == 0


def test_what_the_database_cannot_take_waits_up_to_the_limit_and_the_rest_is_counted(
    churn_database: TestDatabase, api_role: Database
) -> None:
    journal = Journal(Database(AWAY), 10, seconds_between_writes=0.05)
    journal.start()
    for _ in range(13):
        journal.keep(request_of())
    wait_until(lambda: journal.standing.dropped == 3)
    assert journal.standing.waiting == 10
    journal._database = api_role
    wait_until(lambda: journal.standing.waiting == 0)
    journal.keep(request_of())
    journal.stop(5)
    assert (journal.standing.written, journal.standing.dropped) == (11, 3)
    assert len(logged(churn_database)) == 11
    assert sum(batch["dropped_count"] for batch in batches(churn_database)) == 3
    assert sum(batch["row_count"] for batch in batches(churn_database)) == 11


def test_a_log_that_cannot_be_written_before_the_end_is_counted_and_does_not_hold_it_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal = Journal(Database(AWAY), 10)
    journal.start()
    journal.keep(request_of(answers=3))
    began = time.monotonic()
    with caplog.at_level("ERROR", "churn_api.journal"):
        journal.stop(1)
    assert time.monotonic() - began < 5
    assert "3 rows of the request log could not be written" in caplog.text


def test_a_batch_is_written_once_however_often_it_is_tried(churn_database: TestDatabase, api_role: Database) -> None:
    batch = batch_of(request_of(), request_of(answers=2))
    for _ in range(3):
        api_requests.write(api_role, batch)
    assert [row["row_number"] for row in logged(churn_database)].count(0) == 2
    assert len(logged(churn_database)) == 3


def test_many_workers_open_a_new_day_at_once(churn_database: TestDatabase, api_role: Database) -> None:
    days = [datetime.now(UTC) - timedelta(days=days) for days in range(3)]
    with ThreadPoolExecutor(6) as workers:
        list(workers.map(lambda at: api_requests.write(api_role, batch_of(request_of(at=at))), days * 4))
    assert len(logged(churn_database)) == 12


def test_a_day_that_no_request_can_be_of_is_refused_and_costs_only_itself(
    churn_database: TestDatabase, api_role: Database
) -> None:
    impossible = batch_of(request_of(at=datetime.now(UTC) + timedelta(days=400)))
    with pytest.raises(LogRefused):
        api_requests.write(api_role, impossible)
    journal = Journal(api_role, 10, seconds_between_writes=60)
    journal.start()
    journal.keep(impossible.requests[0])
    journal.stop(10)
    assert (journal.standing.written, journal.standing.dropped, journal.standing.waiting) == (0, 1, 0)
    assert logged(churn_database) == []
    assert [batch["dropped_count"] for batch in batches(churn_database)] == [1]


@given(st.text(st.characters(blacklist_categories=())))
def test_any_text_becomes_one_that_the_database_can_hold(text: str) -> None:
    kept = api_requests.storable(text)
    assert "\x00" not in kept
    assert len(kept.encode()) >= len(kept)
    if "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert kept == text


def test_requests_from_many_threads_are_all_there(churn_database: TestDatabase, api_role: Database) -> None:
    journal = Journal(api_role, 100_000, seconds_between_writes=0.01)
    journal.start()

    def keep() -> None:
        for _ in range(200):
            journal.keep(request_of())

    threads = [threading.Thread(target=keep) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.stop(30)
    assert journal.standing.written == 1_000
    assert len({row["request_id"] for row in logged(churn_database)}) == 1_000


def test_old_days_are_dropped_and_the_others_stay(
    churn_database: TestDatabase, api_role: Database, pipeline: Database
) -> None:
    ages = (0, 3, 7, 8, 20)
    for days in ages:
        api_requests.write(api_role, batch_of(request_of(at=datetime.now(UTC) - timedelta(days=days))))
    assert drop_old_requests(pipeline, 7) == 2
    assert drop_old_requests(pipeline, 7) == 0
    kept = [(datetime.now(UTC).date() - row["at"].astimezone(UTC).date()).days for row in logged(churn_database)]
    assert sorted(kept) == [0, 3, 7]


def test_a_customer_is_erased_and_the_others_stay(
    churn_database: TestDatabase, api_role: Database, pipeline: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = datetime.now(UTC) - timedelta(days=5)
    api_requests.write(api_role, batch_of(request_of("A"), request_of("B"), request_of("A", at=old)))
    monkeypatch.setenv("CHURN_DATABASE_URL", pipeline.url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", AWAY.replace("postgresql", "http"))
    erased = CliRunner().invoke(cli, ["api-log", "erase", "A", "--json"])
    assert json.loads(erased.output) == [{"customer_id": "A", "erased_requests": 2}]
    assert [row["customer_id"] for row in logged(churn_database)] == ["B"]
    assert erase_customer(pipeline, "A' OR true --") == 0


def test_a_sample_of_the_traffic_has_the_columns_of_a_customer_and_neither_shadow_nor_what_if(
    api_role: Database, pipeline: Database
) -> None:
    shadow = Answer("A", {"tenure": 9}, 0.9, "high", 2, "shadow")
    answered = request_of("A")
    both = LoggedRequest(**{**answered.__dict__, "answers": (*answered.answers, shadow)})
    old = request_of("A", at=datetime.now(UTC) - timedelta(hours=30))
    what_if = LoggedRequest(**{**request_of("A").__dict__, "route": "/what-if"})
    api_requests.write(api_role, batch_of(both, old, what_if, *(request_of("B") for _ in range(30))))
    with pipeline.transaction() as connection:
        whole = answered_requests.sample_recent(connection, timedelta(hours=24), 100, seed=1)
        some = answered_requests.sample_recent(connection, timedelta(hours=24), 10, seed=1, model_version=1)
        same = answered_requests.sample_recent(connection, timedelta(hours=24), 10, seed=1)
    assert len(whole) == 31
    assert set(whole["churn_probability"]) == {0.25}
    assert whole["tenure"].dtype == float
    assert whole["MonthlyCharges"].isna().all()
    assert some.equals(same)
    assert len(some) == 10


def test_a_worker_that_is_told_to_end_loses_no_answer(
    registry: TestRegistry, churn_database: TestDatabase, tmp_path: Path
) -> None:
    port = random_free_port()
    environment = {
        "CHURN_API_BIND": f"{LOOPBACK}:{port}",
        "CHURN_MLFLOW_TRACKING_URI": registry.server.url,
        "CHURN_API_DATABASE_URL": churn_database.as_role("churn_api").url,
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn.conf.py"]
    server = Server(command, f"http://{LOOPBACK}:{port}", tmp_path / "api.log", environment).start()
    session = requests.Session()  # its connection stays open, as callers' connections do
    asked = [session.post(f"{server.url}/predict", json=VERBATIM, timeout=10) for _ in range(40)]
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    session.close()
    assert {row["request_id"] for row in logged(churn_database)} == {each.json()["request_id"] for each in asked}


def test_a_database_that_restarts_costs_no_answer_and_no_row(
    registry: TestRegistry, postgres: TestServer, churn_database: TestDatabase
) -> None:
    """Every connection of the API is cut, again and again, as a restart does it."""
    with api_over(registry, churn_database) as app:
        client, stopping = app.test_client(), threading.Event()

        def cut() -> None:
            with psycopg.connect(postgres.url("postgres", "postgres"), autocommit=True) as connection:
                while not stopping.wait(0.05):
                    connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'churn_api'"
                    )

        cutter = threading.Thread(target=cut)
        cutter.start()
        statuses = [client.post("/predict", json=VERBATIM).status_code for _ in range(200)]
        stopping.set()
        cutter.join()
    assert set(statuses) == {200}
    assert len(logged(churn_database)) == 200
