"""`churn try-api`: the running API beside the night's table, as a deployment is tried before it is trusted."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from churn.errors import NotFound, PlatformError
from churn.jobs.issue_api_key import issue_api_key
from churn.jobs.try_api import try_api
from churn.platform.ports import LOOPBACK
from churn.services import Services
from tests.api.conftest import TestRegistry
from tests.api.test_gunicorn import SECONDS_TO_FOLLOW, wait_until
from tests.conftest import TestDatabase
from tests.server import Server, random_free_port


@pytest.fixture
def served_night(published: Services, night_database: TestDatabase, tmp_path: Path) -> Iterator[Server]:
    """The API under gunicorn beside a published night."""
    port = random_free_port()
    environment = {
        "CHURN_API_BIND": f"{LOOPBACK}:{port}",
        "CHURN_MLFLOW_TRACKING_URI": published.registry.tracking_uri,
        "CHURN_API_DATABASE_URL": night_database.as_role("churn_api").url,
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn.conf.py"]
    server = Server(command, f"http://{LOOPBACK}:{port}", tmp_path / "api.log", environment)
    try:
        yield server.start()
    finally:
        server.stop()


def test_what_the_api_answers_is_what_was_published(published: Services, served_night: Server) -> None:
    tried = try_api(published, served_night.url, None, 10_000)
    assert tried.is_equal
    assert tried.customer_count == 300
    assert tried.answered_by == [tried.published_by]
    assert tried.largest_difference <= 1e-9


def test_a_version_promoted_since_is_held_against_itself(
    published: Services, served_night: Server, model_registry: TestRegistry
) -> None:
    night = published.registry.production_version().version
    model_registry.registry.promote(1)

    def followed() -> bool:
        return try_api(published, served_night.url, None, 10).answered_by == [1]

    wait_until(followed, SECONDS_TO_FOLLOW)
    tried = try_api(published, served_night.url, None, 300)
    assert (tried.published_by, tried.is_equal) == (night, True)


def test_a_table_that_says_something_else_is_found_out(
    published: Services, served_night: Server, night_database: TestDatabase
) -> None:
    with night_database.as_role("postgres").transaction() as connection:
        connection.execute(
            "UPDATE churn.scores SET churn_probability = churn_probability / 2"
            " WHERE customer_id = (SELECT min(customer_id) FROM churn.scores)"
        )
    tried = try_api(published, served_night.url, None, 10_000)
    assert not tried.is_equal
    assert tried.different_count == 1


def test_an_api_that_wants_a_key_gets_one(published: Services, served_night: Server) -> None:
    issued = issue_api_key(published.database, "smoke-test", ["predict"])

    def refuses() -> bool:
        try:
            try_api(published, served_night.url, None, 1)
        except PlatformError as error:
            return "401" in error.message
        return False

    wait_until(refuses, SECONDS_TO_FOLLOW)
    assert try_api(published, served_night.url, issued.text, 50).is_equal


def test_nobody_who_answers_and_nothing_published_are_said_in_words(published: Services, services: Services) -> None:
    with pytest.raises(PlatformError, match="does not answer"):
        try_api(published, f"http://{LOOPBACK}:{random_free_port()}", None, 1)
    with pytest.raises(NotFound, match="Nothing has been published"):
        try_api(services, f"http://{LOOPBACK}:1", None, 1)
