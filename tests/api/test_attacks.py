"""Seven attacks on the API: no key, a revoked key, a wrong scope, a body too large, a slow body, SQL and HTML in every
field, and forged lines in the log."""

import json
import logging
import select
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from churn.columns import FEATURES, KEY
from churn.db.database import Database
from churn.jobs.issue_api_key import revoke_api_key
from churn.platform.ports import LOOPBACK
from churn_api.request_log import JsonLines
from tests.api.callers import api_over, bearer, issue, logged, wait_until
from tests.api.conftest import VERBATIM, TestRegistry
from tests.conftest import TestDatabase
from tests.server import Server, random_free_port

READ_SECONDS = 2
ATTACKS = (
    "'; DROP TABLE churn.api_requests; --",
    "x' OR '1'='1",
    "$$; SELECT pg_sleep(60); --",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}} ${7*7} %s %(at)s \\N \\.",
    "a\x00b",
    "\ud800 lone",
    "\r\n\x1b[31mforged",
)


@pytest.fixture
def key(pipeline: Database) -> str:
    return issue(pipeline)


@pytest.fixture
def guarded(registry: TestRegistry, churn_database: TestDatabase, key: str) -> Iterator[Flask]:
    with api_over(registry, churn_database) as app:
        yield app


@pytest.fixture
def deployed(registry: TestRegistry, churn_database: TestDatabase, key: str, tmp_path: Path) -> Iterator[Server]:
    """The API under gunicorn with one worker of four threads, which slow callers could fill."""
    port = random_free_port()
    environment = {
        "CHURN_API_BIND": f"{LOOPBACK}:{port}",
        "CHURN_API_WORKERS": "1",
        "CHURN_API_THREADS": "4",
        "CHURN_API_READ_SECONDS": str(READ_SECONDS),
        "CHURN_MLFLOW_TRACKING_URI": registry.server.url,
        "CHURN_API_DATABASE_URL": churn_database.as_role("churn_api").url,
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn.conf.py"]
    server = Server(command, f"http://{LOOPBACK}:{port}", tmp_path / "api.log", environment)
    try:
        yield server.start()
    finally:
        server.stop()


def post(server: Server, headers: dict[str, str], body: bytes = b"") -> requests.Response:
    sent = {"Content-Type": "application/json", **headers}
    return requests.post(f"{server.url}/predict", data=body or json.dumps(VERBATIM), headers=sent, timeout=30)


def test_no_revoked_and_wrong_keys_get_nothing_over_the_wire_and_no_secret_is_logged(
    deployed: Server, pipeline: Database, key: str
) -> None:
    other = issue(pipeline, "grafana", "metrics")
    wait_until(lambda: post(deployed, bearer(other)).status_code == 403)
    assert post(deployed, bearer(key)).status_code == 200
    assert post(deployed, {}).status_code == 401
    in_the_path = requests.get(f"{deployed.url}/{key}", timeout=10)
    assert in_the_path.status_code == 404
    revoke_api_key(pipeline, "crm")
    wait_until(lambda: post(deployed, bearer(key)).status_code == 401)
    for response in (post(deployed, {}), post(deployed, bearer(other)), post(deployed, bearer(key))):
        assert response.headers["Content-Type"] == "application/problem+json"
        assert "churn_probability" not in response.text
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    log = deployed.log.read_text("utf-8")
    for secret in (key, other):
        assert secret.split("_", 2)[2] not in log
    assert '"key": "crm"' in log


def test_a_body_that_is_too_large_is_refused_before_it_is_read(deployed: Server, key: str) -> None:
    body = b'{"tenure": 1' + b" " * 10_000_000 + b"}"
    assert post(deployed, {}, body).status_code == 401
    with socket.create_connection((LOOPBACK, int(deployed.url.rsplit(":", 1)[1])), timeout=10) as caller:
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        caller.sendall(f"{head}Content-Length: 10000000000\r\n\r\n".encode() + b"{")
        assert b" 413 " in caller.recv(1_000)


def slow_caller(url: str, key: str, head: str, every: float) -> bytes:
    """Send a request byte by byte and return what was answered, when the other side has had enough."""
    with socket.create_connection((LOOPBACK, int(url.rsplit(":", 1)[1])), timeout=30) as caller:
        try:
            caller.sendall(head.format(key=key).encode())
            for _ in range(200):
                if select.select([caller], [], [], every)[0]:
                    break
                caller.sendall(b" ")
        except OSError:
            pass
        try:
            return caller.recv(10_000)
        except OSError:
            return b""


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /predict HTTP/1.1\r\nHost: x\r\nX-Slow:", b""),
        (
            "POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n",
            b" 408 ",
        ),
    ],
    ids=["headers", "body"],
)
def test_slow_callers_are_cut_off_and_others_are_answered(deployed: Server, key: str, head: str, status: bytes) -> None:
    answers: list[bytes] = []
    ended: list[float] = []
    began = time.monotonic()

    def attack() -> None:
        answers.append(slow_caller(deployed.url, key, head, every=0.1))
        ended.append(time.monotonic() - began)

    callers = [threading.Thread(target=attack) for _ in range(8)]  # twice as many as there are threads
    for caller in callers:
        caller.start()
    time.sleep(0.5)
    response = post(deployed, bearer(key))  # waits for a thread, but not for ever
    waited = time.monotonic() - began
    for caller in callers:
        caller.join()
    assert response.status_code == 200
    assert waited < 4 * (READ_SECONDS + 1)
    assert max(ended) < 4 * (READ_SECONDS + 1) + 5  # 200 bytes of 0.1 s would be 20 s each, two rounds of them
    if status:
        # Who is still sending when the connection is closed may lose the answer on the way; the log has each.
        assert any(status in answer and b"too-slow" in answer for answer in answers)
        assert deployed.log.read_text("utf-8").count('"status": 408') == len(callers)


def test_sql_and_html_in_every_field_are_values_and_stay_what_they_are(
    guarded: Flask, churn_database: TestDatabase, key: str
) -> None:
    client = guarded.test_client()
    sent: list[tuple[str, str]] = []
    for column in (KEY, *FEATURES):
        for attack in ATTACKS:
            body: dict[str, Any] = {**VERBATIM, column.name: attack}
            response = client.post("/predict", json=body, headers=bearer(key))
            expected = 422 if column.is_number or "\ud800" in attack else 200
            assert response.status_code == expected, (column.name, attack, response.text)
            assert response.content_type.startswith("application/")
            if expected == 200:
                sent.append((column.name, attack))
            else:
                assert attack not in response.get_json()["detail"]
    names = client.post("/predict", json=dict.fromkeys(ATTACKS, 1), headers=bearer(key))
    assert names.status_code == 422
    wait_until(lambda: guarded.extensions["journal"].standing.waiting == 0)
    assert guarded.extensions["journal"].standing.dropped == 0
    kept = [row for row in logged(churn_database) if row["status"] == 200]
    assert len(kept) == len(sent)
    for row, (name, attack) in zip(kept, sent, strict=True):
        plain = attack.replace("\x00", "\ufffd")  # which PostgreSQL cannot hold
        assert (row["customer_id"] if name == KEY.name else row["inputs"][name]) == plain


def test_sql_in_the_headers_is_a_value(guarded: Flask, churn_database: TestDatabase, key: str) -> None:
    client = guarded.test_client()
    for attack in ATTACKS[:6]:
        for header in ("X-Request-ID", "X-API-Key", "Authorization", "User-Agent"):
            response = client.post("/predict", json=VERBATIM, headers={**bearer(key), header: attack})
            assert response.status_code in (200, 401)
            assert attack not in response.headers["X-Request-ID"]
    assert client.post("/predict", json=VERBATIM, headers=bearer(key)).status_code == 200


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """What the API logs during a test, as it would be written."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Keep()
    handler.setFormatter(JsonLines())
    logging.getLogger("churn_api").addHandler(handler)
    yield lines
    logging.getLogger("churn_api").removeHandler(handler)


def test_no_caller_writes_a_line_of_the_log_or_a_secret_into_it(guarded: Flask, key: str, log_lines: list[str]) -> None:
    guarded.add_url_rule("/defect", view_func=lambda: {}[key])
    client = guarded.test_client()
    forged = '%0d%0a{"level": "error", "message": "forged"}%1b[31m'
    client.get(f"/x{forged}", headers={"X-Request-ID": "a b"})
    client.get(f"/{key}?key={key}")
    client.post("/predict", json={'\n{"forged": 1}': key, "customerID": "\nforged"}, headers=bearer(key))
    client.post("/predict", json=VERBATIM, headers=bearer(key[:-3] + "AAA"))
    client.get("/defect", headers=bearer(key))
    assert len(log_lines) >= 5
    for line in log_lines:
        assert json.loads(line)["level"]
        assert not {"\n", "\r", "\x1b"} & set(line)
        assert key.split("_", 2)[2] not in line
        assert key.split("_", 2)[2][:20] not in line
    assert any("KeyError" in line for line in log_lines)


def test_another_origin_is_given_nothing(guarded: Flask, key: str) -> None:
    client = guarded.test_client()
    origin = {"Origin": "https://evil.example"}
    asked = {**origin, "Access-Control-Request-Method": "POST"}
    for response in (
        client.options("/predict", headers={**asked, **bearer(key)}),
        client.post("/predict", json=VERBATIM, headers={**origin, **bearer(key)}),
        client.post("/predict", json=VERBATIM, headers=origin),
    ):
        assert not [name for name, _ in response.headers if name.startswith("Access-Control-")]
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert response.headers["X-Frame-Options"] == "DENY"
