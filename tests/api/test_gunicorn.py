"""The API as it is deployed: gunicorn with its own configuration, over HTTP."""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.api.conftest import VERBATIM, TestRegistry
from tests.server import Server

SECONDS_TO_FOLLOW = 15


def ask(server: Server) -> requests.Response:
    return requests.post(f"{server.url}/predict", json=VERBATIM, timeout=10)


def versions(server: Server) -> set[int]:
    """The versions that ten new connections are answered with, which every worker takes part in."""
    with ThreadPoolExecutor(5) as callers:
        return {response.json()["model_version"] for response in callers.map(lambda _: ask(server), range(10))}


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"did not happen within {seconds} s"
        time.sleep(0.5)


def wait_for_both_workers(server: Server) -> None:
    """Wait until each worker has loaded its model; the first to listen answers earlier."""
    wait_until(lambda: server.log.read_text("utf-8").count("answers from now on") == 2, 60)


def test_a_promotion_is_answered_without_a_restart_and_an_outage_survived(
    gunicorn: Server, registry: TestRegistry
) -> None:
    wait_for_both_workers(gunicorn)
    response = ask(gunicorn)
    assert response.status_code == 200
    assert response.json()["churn_probability"] == registry.models[1].predict_record(VERBATIM)
    assert response.headers["Server"] == "gunicorn"  # no version
    registry.registry.promote(2)
    wait_until(lambda: versions(gunicorn) == {2}, SECONDS_TO_FOLLOW)
    registry.server.stop(signal.SIGKILL)
    try:
        time.sleep(7)  # at least one look of every worker
        assert versions(gunicorn) == {2}
    finally:
        registry.server.start()


def test_metrics_are_those_of_all_workers_and_forget_one_that_was_killed(gunicorn: Server) -> None:
    wait_for_both_workers(gunicorn)
    assert versions(gunicorn) == {1}

    def scrape() -> str:
        return requests.get(f"{gunicorn.url}/metrics", timeout=10).text

    def workers() -> set[int]:
        return {int(pid) for pid in re.findall(r'churn_api_model_version\{.*pid="(\d+)"\} 1', scrape())}

    answered = 'churn_api_requests_total{method="POST",route="/predict",status="200"} 10.0'
    assert answered in scrape()
    first = workers()
    assert len(first) == 2
    os.kill(min(first), signal.SIGKILL)
    wait_until(lambda: len(workers()) == 2 and workers() != first, 60)
    assert answered in scrape()  # what a dead worker has counted stays counted


def chunks(size: int) -> Iterator[bytes]:
    """A valid body of `size` bytes, sent without saying how long it will be."""
    body = json.dumps(VERBATIM).encode()
    yield body[:-1]
    yield b" " * (size - len(body))
    yield b"}"


def test_it_holds_its_limits_logs_each_request_and_ends_when_told(gunicorn: Server) -> None:
    wait_for_both_workers(gunicorn)
    asked = [ask(gunicorn).json()["request_id"] for _ in range(3)]
    for size, status in ((1_000, 200), (70_000, 413)):
        headers = {"Content-Type": "application/json"}
        response = requests.post(f"{gunicorn.url}/predict", data=chunks(size), headers=headers, timeout=10)
        assert response.status_code == status
        asked.append(response.headers["X-Request-ID"])
    assert gunicorn.process is not None
    gunicorn.process.send_signal(signal.SIGTERM)
    assert gunicorn.process.wait(15) == 0
    lines = [json.loads(line) for line in gunicorn.log.read_text("utf-8").splitlines() if line.startswith("{")]
    assert [line["request_id"] for line in lines if line.get("path") == "/predict"] == asked
