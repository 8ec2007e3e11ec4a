"""What is answered without the framework: the same bytes, the same log, the same counts; all else is left to Flask."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from churn.db.database import Database
from churn_api.at_once import AtOnce
from churn_api.production import FollowedModel
from churn_api.short_requests import ShortRequest, read_short
from tests.api.callers import api_over, bearer, issue, logged, wait_until
from tests.api.conftest import VERBATIM, TestRegistry, draw_customers, under_gunicorn
from tests.api.test_gunicorn import wait_for_both_workers
from tests.api.test_predict import cells, names, valid_records
from tests.benchmarks.wire import request_of
from tests.conftest import TestDatabase
from tests.server import Server

ADDRESS = ("x", 80)
MANY = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture
def key(pipeline: Database) -> str:
    return issue(pipeline, requests_per_minute=60_000)


@pytest.fixture
def guarded(registry: TestRegistry, churn_database: TestDatabase, key: str) -> Iterator[Flask]:
    """The API where one key exists."""
    with api_over(registry, churn_database) as app:
        yield app


def short(record: Any, headers: dict[str, str], path: str = "/v1/predict") -> ShortRequest:
    """A request of a caller as it is found on a socket."""
    found = read_short(request_of(ADDRESS, path, json.dumps(record).encode(), headers))
    assert found is not None
    return found


def at_once(app: Flask, *asked: ShortRequest) -> list[bytes | None]:
    answering: AtOnce = app.extensions["at_once"]
    return answering.answer(asked)


def parts(answer: bytes | None) -> tuple[list[tuple[str, str]], bytes]:
    """The headers that an app gives, and the body."""
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:]]
    return [(name, value) for name, _, value in lines if name not in ("Server", "Date", "Connection")], body


def counted() -> dict[tuple[str, tuple[str, ...]], float]:
    """What the metrics have counted of answers and of customers."""
    wanted = ("churn_api_requests_total", "churn_api_predictions_total", "churn_api_request_seconds_count")
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples if sample.name in wanted]
    return {(sample.name, tuple(sample.labels.values())): sample.value for sample in samples}


def test_many_customers_get_together_what_flask_gives_each(
    guarded: Flask, churn_database: TestDatabase, key: str
) -> None:
    """Headers, bytes, log rows and counts: by a customer id and without, with fields unknown, in both addresses."""
    drawn = json.loads(draw_customers(60, seed=5).to_json(orient="records"))
    records = [VERBATIM, {"tenure": 0}, {"Contract": "Ten years", "customerID": "Zoë <b>"}, *drawn]
    paths = ["/v1/predict" if place % 2 else "/predict" for place in range(len(records))]
    before = counted()
    client = guarded.test_client()
    given = [bearer(key) | {"X-Request-ID": f"one-{place}"} for place in range(len(records))]
    flask = [client.post(path, json=record, headers=headers) for path, record, headers in zip(
        paths, records, given, strict=True)]  # fmt: skip
    between = counted()
    found = at_once(guarded, *map(short, records, given, paths))
    after = counted()
    for answer, response in zip(found, flask, strict=True):
        assert parts(answer) == (list(response.headers.items()), response.data)
    grown = {name: between[name] - before.get(name, 0) for name in between}
    assert {name: after[name] - between[name] for name in after} == grown
    wait_until(lambda: guarded.extensions["journal"].standing.waiting == 0)
    rows = [{**row, "at": None, "milliseconds": None} for row in logged(churn_database)]
    assert len(rows) == 2 * len(records)
    assert sorted(map(repr, rows[: len(records)])) == sorted(map(repr, rows[len(records) :]))


@MANY
@given(record=valid_records)
def test_every_record_that_keeps_the_contract_is_answered_alike(app: Flask, record: dict[str, Any]) -> None:
    headers = {"X-Request-ID": "same"}
    response = app.test_client().post("/v1/predict", json=record, headers=headers)
    assert parts(*at_once(app, short(record, headers))) == (list(response.headers.items()), response.data)


@MANY
@given(body=st.dictionaries(names, cells, max_size=20))
def test_whatever_flask_refuses_is_left_to_it(app: Flask, body: dict[str, Any]) -> None:
    headers = {"X-Request-ID": "same"}
    response = app.test_client().post("/v1/predict", json=body, headers=headers)
    [answer] = at_once(app, short(body, headers))
    assert (answer is None) == (response.status_code != 200)
    assert answer is None or parts(answer)[1] == response.data


def as_basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic eDp5", "X-API-Key": key}


@pytest.mark.parametrize(
    "headers",
    [
        lambda key: {},
        lambda key: bearer(f"{key[:-1]}{'x' if key[-1] != 'x' else 'y'}"),
        lambda key: bearer("churn_000000000000_" + "x" * 43),
        lambda key: {"Authorization": f"Token {key}"},
        as_basic,
        lambda key: bearer(key) | {"Connection": "close"},
        lambda key: bearer(key) | {"Connection": "Upgrade"},
        lambda key: bearer(key) | {"Content-Type": "text/plain"},
    ],
    ids=["no key", "a wrong secret", "an unknown key", "another scheme", "basic and a key", "the last request",
         "another protocol", "no JSON"],
)  # fmt: skip
def test_who_is_not_simply_let_in_is_left_to_flask_and_leaves_no_trace(
    guarded: Flask, key: str, headers: Any, caplog: pytest.LogCaptureFixture
) -> None:
    before, journal = counted(), guarded.extensions["journal"].standing
    asked = short(VERBATIM, bearer(key) | {"X-Request-ID": "good"}), short(VERBATIM, headers(key))
    good, left = at_once(guarded, *asked)
    assert left is None
    assert parts(good)[1]
    assert sum(counted().values()) - sum(before.values()) == 3  # an answer, its time, its customer
    now = guarded.extensions["journal"].standing
    assert now.written + now.waiting - journal.written - journal.waiting == 1
    assert "was refused" not in caplog.text


def test_a_wrong_secret_is_told_to_the_log_once(guarded: Flask, key: str, caplog: pytest.LogCaptureFixture) -> None:
    wrong = bearer(f"{key[:-1]}{'x' if key[-1] != 'x' else 'y'}")
    assert at_once(guarded, short(VERBATIM, wrong)) == [None]
    assert guarded.test_client().post("/v1/predict", json=VERBATIM, headers=wrong).status_code == 401
    assert caplog.text.count("was refused") == 1


def test_a_key_of_another_scope_or_that_has_asked_its_limit_is_left_to_flask(
    guarded: Flask, pipeline: Database
) -> None:
    reading, slow = issue(pipeline, "reader", "read"), issue(pipeline, "slow", requests_per_minute=6)
    guarded.extensions["door"].ring.look()
    assert at_once(guarded, short(VERBATIM, bearer(reading))) == [None]
    first, second = at_once(guarded, *[short(VERBATIM, bearer(slow))] * 2)
    assert parts(first)[1]
    assert second is None
    assert guarded.test_client().post("/predict", json=VERBATIM, headers=bearer(slow)).status_code == 429


def test_where_there_is_no_model_flask_says_so(guarded: Flask, key: str) -> None:
    production: FollowedModel = guarded.extensions["production"]
    served, production.served = production.served, None
    assert at_once(guarded, short(VERBATIM, bearer(key))) == [None]
    production.served = served
    assert at_once(guarded, short(VERBATIM, bearer(key))) != [None]


def test_over_a_connection_both_ways_send_the_same_bytes(gunicorn: Server) -> None:
    """The first request of a connection goes to a thread and Flask; the next is answered at once."""
    wait_for_both_workers(gunicorn)
    answers = _over_one_connection(gunicorn, 3)
    without_date = [[line for line in answer.split(b"\r\n") if not line.startswith(b"Date: ")] for answer in answers]
    assert without_date[1] == without_date[2] == without_date[0]


def test_a_model_that_fails_costs_its_requests_an_error_each_and_nobody_a_connection(
    registry: TestRegistry, tmp_path: Path
) -> None:
    with under_gunicorn(registry, tmp_path, "python:tests.api.broken_model") as server:
        wait_for_both_workers(server)
        for answer in _over_one_connection(server, 3):
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 500 ")
            assert b"\r\nConnection: keep-alive\r\n" in head
            assert json.loads(body)["type"] == "urn:churn:problem:internal-error"
            assert b"no answer for" not in body
        log = server.log.read_text("utf-8")
        assert log.count("Short requests could not be answered together.") == 2  # the first one went to a thread


def _over_one_connection(server: Server, times: int) -> list[bytes]:
    """The answers to one request, sent so often one after the other; each time as a whole, as the loop wants it."""
    whole = request_of(ADDRESS, "/v1/predict", json.dumps(VERBATIM).encode(), {"X-Request-ID": "same"})
    host, port = server.url.removeprefix("http://").split(":")
    answers = []
    with socket.create_connection((host, int(port)), timeout=10) as caller:
        for _ in range(times):
            caller.sendall(whole)
            answers.append(_received(caller))
    return answers


def _received(caller: socket.socket) -> bytes:
    """One answer, as long as its Content-Length says."""
    came = b""
    while not (length := re.search(rb"\r\nContent-Length: (\d+)\r\n.*\r\n\r\n", came, re.DOTALL)) or (
        len(came) < length.end() + int(length[1])
    ):
        chunk = caller.recv(65_536)
        assert chunk, f"The connection was closed after {came!r}."
        came += chunk
    return came
