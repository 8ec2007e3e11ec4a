"""The API refuses to start where something that must hold does not, and says what to do."""

import os
import subprocess
import sys
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from churn.errors import ConfigurationError, SchemaBehind
from churn.platform.ports import LOOPBACK
from churn.settings import PROJECT, Settings
from churn_api.app import create_app
from churn_api.start import require_loopback, require_schema
from tests.conftest import TestDatabase
from tests.server import random_free_port

EVERY_INTERFACE = ("0.0.0.0", 80)  # noqa: S104 - what must be refused
NOWHERE = f"http://{LOOPBACK}:9"


def start(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Start gunicorn as it is deployed, where it is expected to end by itself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CHURN_", "MLFLOW_"))}
    bind = {"CHURN_API_BIND": f"{LOOPBACK}:{random_free_port()}", "CHURN_MLFLOW_TRACKING_URI": NOWHERE}
    return subprocess.run(
        [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn.conf.py", *arguments],
        env={**environment, **bind, **variables}, cwd=PROJECT,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def lag_behind(database: TestDatabase) -> SecretStr:
    """Mark the schema as one of an older program; return the API's address of it."""
    with psycopg.connect(database.as_role("postgres").url) as connection:
        connection.execute("UPDATE churn.schema_version SET version_num = '0000'")
    return SecretStr(database.as_role("churn_api").url)


def test_a_schema_that_is_behind_is_refused_with_the_command(churn_database: TestDatabase) -> None:
    url = lag_behind(churn_database)
    with pytest.raises(SchemaBehind, match="churn db migrate"):
        create_app(Settings(mlflow_tracking_uri=NOWHERE, api_database_url=url))
    ended = start(CHURN_API_DATABASE_URL=url.get_secret_value())
    assert ended.returncode == 1
    assert "churn db migrate" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "only-for-tests" not in ended.stderr


def test_a_current_schema_is_accepted_as_the_role_of_the_api(churn_database: TestDatabase) -> None:
    require_schema(Settings(api_database_url=SecretStr(churn_database.as_role("churn_api").url)))


def test_a_database_that_is_away_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    url = SecretStr(f"postgresql://churn_api:only-for-tests@{LOOPBACK}:9/churn")
    with caplog.at_level("WARNING"):
        require_schema(Settings(api_database_url=url))


def test_no_registry_address_is_refused() -> None:
    ended = start(CHURN_MLFLOW_TRACKING_URI="")
    assert ended.returncode == 1
    assert "MLFLOW_TRACKING_URI is not set" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", ":0"])
def test_listening_beyond_this_machine_is_refused(address: str) -> None:
    ended = start(CHURN_API_BIND=address)
    assert ended.returncode == 1
    assert "authenticates nobody" in ended.stderr
    assert "CHURN_API_ALLOW_REMOTE=1" in ended.stderr


def test_a_bind_on_the_command_line_is_held_to_the_same_rule() -> None:
    assert "authenticates nobody" in start("--bind", "0.0.0.0:0").stderr


@pytest.mark.parametrize(
    "address",
    [("127.0.0.1", 8000), ("127.8.8.8", 80), ("::1", 8000), ("localhost", 8000), "/run/churn.sock", 3],
)
def test_what_only_this_machine_reaches_is_accepted(address: Any) -> None:
    require_loopback([address], allow_remote=False)


@pytest.mark.parametrize("address", [EVERY_INTERFACE, ("::", 80), ("", 80), ("10.0.0.1", 80), ("api.example", 80)])
def test_what_others_reach_needs_the_permission(address: Any) -> None:
    with pytest.raises(ConfigurationError):
        require_loopback([address], allow_remote=False)
    require_loopback([address], allow_remote=True)
