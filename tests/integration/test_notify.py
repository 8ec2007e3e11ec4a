"""Notices arrive at a real webhook; an address that fails never fails the work."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from churn.errors import ConfigurationError
from churn.notify import Notifier
from churn.platform.ports import LOOPBACK
from churn.records import Notice
from tests.server import random_free_port

NOTICE = Notice("Scores late", "The night failed.", "Yesterday's table stays.", "Clear the task.")


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    received: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer((LOOPBACK, 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"json://{LOOPBACK}:{server.server_port}/", received
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_notice_says_what_happened_what_it_means_and_what_to_do(
    webhook: tuple[str, list[dict[str, Any]]],
) -> None:
    url, received = webhook
    assert Notifier(url).send(NOTICE)
    (message,) = received
    assert message["title"] == "Scores late"
    assert message["message"].split("\n") == [
        "The night failed.", "", "What it means: Yesterday's table stays.", "What to do: Clear the task.",
    ]  # fmt: skip


def test_without_an_address_the_log_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert Notifier().send(NOTICE)
    assert "Clear the task." in caplog.text


def test_an_address_that_is_away_is_logged_and_does_not_raise(caplog: pytest.LogCaptureFixture) -> None:
    assert not Notifier(f"json://{LOOPBACK}:{random_free_port()}/").send(NOTICE)
    assert "did not reach every address" in caplog.text


def test_a_wrong_address_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigurationError, match="Address 2") as raised:
        Notifier("json://localhost nonsense-with-a-secret")
    assert "secret" not in str(raised.value)
