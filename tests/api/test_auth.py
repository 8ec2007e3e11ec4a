"""Keys: who is let in, who is not and what they are told, and what becomes of it while the database is away."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from typer.testing import CliRunner

from churn.cli import app as cli
from churn.core import api_keys
from churn.db.database import Database
from churn.errors import ConfigurationError, KeyRefused
from churn.jobs.issue_api_key import issue_api_key, revoke_api_key
from churn.platform.ports import LOOPBACK
from churn.settings import Settings
from churn_api import keys
from churn_api.auth import says_who_may_ask
from churn_api.keys import KeyRing
from churn_api.rate_limit import BURST_SECONDS, RateLimits
from churn_api.start import check_before_listening
from tests.api.callers import api_over, bearer, issue, wait_until
from tests.api.conftest import VERBATIM, TestRegistry
from tests.api.test_predict import problem
from tests.api.test_start import start
from tests.conftest import TestDatabase

NOWHERE = f"http://{LOOPBACK}:9"
AWAY = f"postgresql://churn_api:only-for-tests@{LOOPBACK}:9/churn"
EVERYWHERE = ("0.0.0.0", 80)  # noqa: S104 - what needs a key


@pytest.fixture
def key(pipeline: Database) -> str:
    return issue(pipeline)


@pytest.fixture
def guarded(registry: TestRegistry, churn_database: TestDatabase, key: str) -> Iterator[Flask]:
    """The API where one key exists."""
    with api_over(registry, churn_database) as app:
        yield app


def ask(client: FlaskClient, headers: dict[str, str] | None = None) -> Any:
    return client.post("/predict", json=VERBATIM, headers=headers)


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_a_key_is_taken_from_either_header(guarded: Flask, key: str, header: str) -> None:
    value = f"Bearer {key}" if header == "Authorization" else key
    assert ask(guarded.test_client(), {header: value}).status_code == 200


def test_a_key_in_the_address_is_none(guarded: Flask, key: str) -> None:
    response = guarded.test_client().post(f"/predict?api_key={key}&key={key}", json=VERBATIM)
    problem(response, 401)


def test_health_is_answered_without_a_key(guarded: Flask) -> None:
    assert guarded.test_client().get("/health").status_code == 200


def test_every_address_says_who_may_ask(guarded: Flask) -> None:
    rules = [
        rule for rule in guarded.url_map.iter_rules() if not says_who_may_ask(guarded.view_functions[rule.endpoint])
    ]
    assert rules == []


def test_an_address_that_does_not_say_needs_a_key(guarded: Flask, key: str) -> None:
    guarded.add_url_rule("/forgotten", view_func=lambda: "told")
    problem(guarded.test_client().get("/forgotten"), 401)
    assert guarded.test_client().get("/forgotten", headers=bearer(key)).text == "told"


def test_without_a_key_the_answer_says_how_to_get_one(guarded: Flask) -> None:
    response = ask(guarded.test_client())
    document = problem(response, 401)
    assert "churn api-key create" in document["next_step"]
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="churn"'


@pytest.mark.parametrize("spoil", ["secret", "id", "form", "empty"])
def test_a_wrong_key_is_refused_and_not_repeated(guarded: Flask, key: str, spoil: str) -> None:
    wrong = {
        "secret": key[:-5] + "AAAAA",
        "id": "churn_" + "0" * 12 + key[18:],
        "form": key + "x",
        "empty": "",
    }[spoil]
    response = ask(guarded.test_client(), bearer(wrong))
    problem(response, 401)
    assert "invalid_token" in response.headers["WWW-Authenticate"]
    assert not wrong or wrong not in response.text


def test_a_key_for_something_else_is_refused_with_the_scope_that_it_lacks(guarded: Flask, pipeline: Database) -> None:
    other = issue(pipeline, "grafana", "metrics", "read")
    client = guarded.test_client()
    wait_until(lambda: ask(client, bearer(other)).status_code == 403)
    response = ask(client, bearer(other))
    assert "--scope predict" in problem(response, 403)["next_step"]
    assert 'scope="predict"' in response.headers["WWW-Authenticate"]


def test_a_revoked_key_is_refused_within_seconds_and_the_door_does_not_open(
    guarded: Flask, pipeline: Database, key: str
) -> None:
    client = guarded.test_client()
    assert ask(client, bearer(key)).status_code == 200
    revoke_api_key(pipeline, "crm")
    began = time.monotonic()
    wait_until(lambda: ask(client, bearer(key)).status_code == 401)
    assert time.monotonic() - began < 10
    problem(ask(client), 401)  # it was the last key, and still one is needed


def test_an_expired_key_is_refused(guarded: Flask, pipeline: Database) -> None:
    short = issue(pipeline, "short", valid_for=timedelta(seconds=-1))
    guarded.extensions["door"].ring.look()
    problem(ask(guarded.test_client(), bearer(short)), 401)


def test_without_any_key_ever_made_it_answers_as_on_a_machine_of_ones_own(
    registry: TestRegistry, churn_database: TestDatabase
) -> None:
    with api_over(registry, churn_database) as app:
        assert ask(app.test_client()).status_code == 200


def test_a_key_has_its_limit_and_is_told_how_long_to_wait(guarded: Flask, pipeline: Database) -> None:
    slow = issue(pipeline, "slow", requests_per_minute=6)
    guarded.extensions["door"].ring.look()
    client = guarded.test_client()
    assert ask(client, bearer(slow)).status_code == 200
    response = ask(client, bearer(slow))
    problem(response, 429)
    assert 1 <= int(response.headers["Retry-After"]) <= 10


def test_a_bucket_gives_its_rate_and_a_batch_costs_its_rows() -> None:
    now = 0.0
    limits = RateLimits(lambda: now)
    burst = int(600 / 60 * BURST_SECONDS)
    assert [limits.take("a", 600) for _ in range(burst)] == [0.0] * burst
    assert limits.take("a", 600) == pytest.approx(0.1)
    assert limits.take("b", 600) == 0.0
    now = 1.0
    assert [limits.take("a", 600) > 0 for _ in range(11)] == [False] * 10 + [True]
    limits.charge("a", 100)
    now = 10.0
    assert limits.take("a", 600) == pytest.approx(1.1)
    now = 11.2
    assert limits.take("a", 600) == 0.0


def test_known_keys_go_on_while_the_database_is_away_and_unknown_ones_are_not_judged(
    guarded: Flask, churn_database: TestDatabase, key: str
) -> None:
    ring: KeyRing = guarded.extensions["door"].ring
    ring._database = Database(AWAY)
    wait_until(lambda: ring.known is not None and not ring.known.is_current)
    client = guarded.test_client()
    assert ask(client, bearer(key)).status_code == 200
    response = ask(client, bearer("churn_" + "0" * 12 + key[18:]))
    problem(response, 503)
    assert response.headers["Retry-After"] == "5"
    problem(ask(client), 401)
    ring._trusted_seconds = 0.0  # the grace is over: a revocation may be among what could not be read
    problem(ask(client, bearer(key)), 503)
    ring._trusted_seconds = 60.0
    ring._database = churn_database.as_role("churn_api")
    wait_until(lambda: ring.known is not None and ring.known.is_current)


def test_a_worker_that_never_read_the_keys_lets_nobody_in(
    registry: TestRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_of_master", None)
    from churn_api.app import create_app

    app = create_app(Settings(mlflow_tracking_uri=registry.server.url, api_database_url=SecretStr(AWAY)))
    problem(ask(app.test_client()), 503)
    assert app.test_client().get("/health").status_code == 200


def test_a_worker_begins_with_what_the_master_read(
    pipeline: Database, churn_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_of_master", None)
    issue(pipeline)
    url = SecretStr(churn_database.as_role("churn_api").url)
    check_before_listening(Settings(mlflow_tracking_uri=NOWHERE, api_database_url=url), [EVERYWHERE], False)
    ring = KeyRing(Database(AWAY), timedelta(minutes=1))
    ring.look()
    assert ring.known is not None
    assert [key.key_name for key in ring.known.by_id.values()] == ["crm"]
    assert not ring.known.is_current


def test_listening_beyond_this_machine_needs_an_active_key(pipeline: Database, churn_database: TestDatabase) -> None:
    url = churn_database.as_role("churn_api").url
    settings = Settings(mlflow_tracking_uri=NOWHERE, api_database_url=SecretStr(url))
    ended = start(CHURN_API_BIND="0.0.0.0:0", CHURN_API_DATABASE_URL=url)
    assert ended.returncode == 1
    assert "churn api-key create" in ended.stderr
    issue(pipeline)
    check_before_listening(settings, [EVERYWHERE], allow_remote=False)
    revoke_api_key(pipeline, "crm")
    with pytest.raises(ConfigurationError, match="authenticates nobody"):
        check_before_listening(settings, [EVERYWHERE], allow_remote=False)


def test_where_the_keys_cannot_be_read_it_does_not_listen_beyond_this_machine() -> None:
    settings = Settings(mlflow_tracking_uri=NOWHERE, api_database_url=SecretStr(AWAY))
    with pytest.raises(ConfigurationError, match="keys cannot be read"):
        check_before_listening(settings, [EVERYWHERE], allow_remote=False)


def test_only_a_hash_is_kept_and_it_is_that_of_the_secret(pipeline: Database, key: str) -> None:
    [row] = pipeline_rows(pipeline)
    found = api_keys.read(key)
    assert found is not None
    assert bytes(row["secret_hash"]) == api_keys.hash_secret(found[1])
    assert found[1] not in repr(row)
    assert len(found[1]) == 43  # 256 bits


def pipeline_rows(pipeline: Database) -> list[dict[str, Any]]:
    with pipeline.transaction() as connection:
        return connection.execute("SELECT * FROM churn.api_keys").fetchall()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE churn.api_keys SET revoked_at = NULL",
        "UPDATE churn.api_keys SET revoked_at = now() + interval '1 day'",
        "DELETE FROM churn.api_keys",
        "UPDATE churn.api_keys SET scopes = ARRAY['read']",
    ],
)
def test_a_revoked_key_stays_revoked(pipeline: Database, key: str, statement: str) -> None:
    revoke_api_key(pipeline, "crm")
    with pytest.raises(psycopg.Error), pipeline.transaction() as connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("name", "scopes"), [("", ["read"]), ("two words", ["read"]), ("a" * 61, ["read"]), ("x", []), ("x", ["all"])]
)
def test_a_key_that_cannot_be_is_refused(pipeline: Database, name: str, scopes: list[str]) -> None:
    with pytest.raises(KeyRefused):
        issue_api_key(pipeline, name, scopes)


def test_a_name_is_in_use_once_and_free_again_after_its_revocation(pipeline: Database, key: str) -> None:
    with pytest.raises(KeyRefused, match="is in use"):
        issue(pipeline)
    revoke_api_key(pipeline, "crm")
    with pytest.raises(KeyRefused, match="No key named crm"):
        revoke_api_key(pipeline, "crm")
    assert issue(pipeline) != key


def test_the_commands_make_show_and_revoke_a_key(pipeline: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_DATABASE_URL", pipeline.url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOWHERE)
    command = ["api-key", "create", "night-batch", "--scope", "predict", "--scope", "read", "--days", "30", "--json"]
    made = CliRunner().invoke(cli, command)
    assert made.exit_code == 0, made.output
    [row] = pipeline_rows(pipeline)
    assert row["key_id"] in made.output
    listed = CliRunner().invoke(cli, ["api-key", "list", "--json"]).output
    assert '"state": "active"' in listed
    assert "hash" not in listed
    assert CliRunner().invoke(cli, ["api-key", "revoke", "night-batch"]).exit_code == 0
    assert '"state": "revoked"' in CliRunner().invoke(cli, ["api-key", "list", "--json"]).output
