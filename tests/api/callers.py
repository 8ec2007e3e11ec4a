"""What tests of callers start from: keys in a real database, the API over it, and what it has logged."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from pydantic import SecretStr

from churn.db.database import Database
from churn.jobs.issue_api_key import issue_api_key
from churn.settings import Settings
from churn_api.app import create_app
from churn_api.journal import close
from tests.api.conftest import TestRegistry
from tests.conftest import TestDatabase

SECONDS_UNTIL_KNOWN = 15  # the workers look every 2 s; the rest is a busy machine


def issue(pipeline: Database, name: str = "crm", *scopes: str, **more: Any) -> str:
    """Make a key for `scopes` (default: predict) and return it as its owner sends it."""
    return issue_api_key(pipeline, name, scopes or ("predict",), **more).text


def bearer(key: str) -> dict[str, str]:
    """The header that carries a key."""
    return {"Authorization": f"Bearer {key}"}


@contextmanager
def api_over(registry: TestRegistry, database: TestDatabase, policy_file: Path | None = None) -> Iterator[Flask]:
    """The API over a registry and a database, as the role churn_api; closed as a worker closes it."""
    url = SecretStr(database.as_role("churn_api").url)
    settings = Settings(mlflow_tracking_uri=registry.server.url, api_database_url=url, policy_file=policy_file)
    app = create_app(settings)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    try:
        yield app
    finally:
        app.extensions["door"].ring.stop()
        app.extensions["production"].stop()
        if app.extensions["arms"].challenger is not None:
            app.extensions["arms"].challenger.stop()
        close(app)


def wait_until(holds: Callable[[], bool], seconds: float = SECONDS_UNTIL_KNOWN) -> None:
    """Wait for what the background brings about."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"did not happen within {seconds} s"
        time.sleep(0.1)


def logged(database: TestDatabase) -> list[dict[str, Any]]:
    """The rows of the request log, in order."""
    with database.as_role("postgres").transaction() as connection:
        return connection.execute("SELECT * FROM churn.api_requests ORDER BY at, row_number, arm").fetchall()


def batches(database: TestDatabase) -> list[dict[str, Any]]:
    """What the workers wrote, batch by batch."""
    with database.as_role("postgres").transaction() as connection:
        return connection.execute("SELECT * FROM churn.api_log_batches ORDER BY written_at").fetchall()
