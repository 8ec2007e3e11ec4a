"""The rollback drill: promote, roll back, and everybody answers with the old version; the ledger shows both acts."""

import json

import psycopg
import pytest
from typer.testing import CliRunner

from churn.cli import app as commands
from churn.db import promotions
from churn.errors import AlreadyRunning, ArtifactRejected, NoProductionModel, RollbackRefused
from churn.jobs.roll_back_model import roll_back_model
from churn.jobs.score_customers import score_customers
from churn.policy import Policy
from churn.records import Decision
from churn.services import Services
from churn.settings import Settings
from churn_api.app import create_app
from churn_api.production import FollowedModel
from tests.conftest import TestDatabase
from tests.jobs import admit_simulated, approve, promote_model, register_model
from tests.nights import published

REASON = "The new one alarms everybody."
CUSTOMER = {"tenure": 12, "MonthlyCharges": 70.5, "Contract": "Month-to-month"}


def ledger(services: Services) -> list[tuple[str, int, int | None, str]]:
    with services.database.transaction() as connection:
        rows = promotions.history(connection, 10)
    return [(row["decision"], row["model_version"], row["previous_version"], row["reason"]) for row in rows]


def test_after_a_rollback_the_api_and_the_next_night_answer_with_the_old_version(services: Services) -> None:
    admit_simulated(services, 300)
    old, new = approve(services, 1), approve(services, 2)
    api = create_app(Settings(mlflow_tracking_uri=services.registry.tracking_uri))
    serving: FollowedModel = api.extensions["production"]
    try:
        assert api.test_client().post("/predict", json=CUSTOMER).get_json()["model_version"] == new
        score_customers(services)
        assert set(published(services.database).model_version) == {new}

        done = roll_back_model(services, REASON)

        assert (done.model_version, done.replaced_version) == (old, new)
        serving.look()
        assert api.test_client().post("/predict", json=CUSTOMER).get_json()["model_version"] == old
        score_customers(services)
        assert set(published(services.database).model_version) == {old}
    finally:
        serving.stop()
    assert ledger(services)[:2] == [
        ("rolled_back", old, new, REASON), ("promoted", new, old, "The challenger meets every rule."),
    ]  # fmt: skip
    assert services.registry.version(new).stage == "archived"
    before = services.registry.previous_version()
    assert before is not None
    assert before.version == new
    assert roll_back_model(services, "It was right after all.").model_version == new


def test_a_version_that_was_never_approved_does_not_serve(services: Services) -> None:
    never = promote_model(services, 3)
    old, new = approve(services, 1), approve(services, 2)
    with pytest.raises(RollbackRefused, match=f"Version {never} was never approved") as raised:
        roll_back_model(services, REASON, never)
    assert f"Approved were also: {old}." in raised.value.next_step
    with pytest.raises(RollbackRefused, match=f"Version {new} serves already"):
        roll_back_model(services, REASON, new)
    assert services.registry.production_version().version == new
    assert [entry[0] for entry in ledger(services)] == ["promoted", "promoted"]


def test_the_first_version_has_nothing_to_go_back_to(services: Services) -> None:
    with pytest.raises(NoProductionModel):
        roll_back_model(services, REASON)
    only = approve(services, 1)
    with pytest.raises(RollbackRefused, match=f"Version {only} serves, and the ledger knows none") as raised:
        roll_back_model(services, REASON)
    assert "retrain" in raised.value.next_step


def test_an_artifact_that_is_not_what_was_approved_does_not_serve(services: Services) -> None:
    old, new = approve(services, 1), approve(services, 2)
    with services.database.transaction() as connection:
        promotions.record(
            connection,
            decision=Decision(True, "Approved with other bytes.", ()),
            model_version=old,
            previous_version=None,
            evidence={"digest": "0" * 64},
            policy=services.policy,
        )
    with pytest.raises(ArtifactRejected, match="expected 0000"):
        roll_back_model(services, REASON, old)
    assert services.registry.production_version().version == new


def test_one_decision_at_a_time(services: Services) -> None:
    approve(services, 1)
    approve(services, 2)
    with services.database.lock("promotion"), pytest.raises(AlreadyRunning):
        roll_back_model(services, REASON)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE churn.promotions SET reason = 'x'", "DELETE FROM churn.promotions", "TRUNCATE churn.promotions"],
)
def test_nobody_changes_the_ledger_not_even_its_owner(
    services: Services, churn_database: TestDatabase, statement: str
) -> None:
    approve(services, 1)
    for role in ("postgres", "churn_pipeline"):
        with pytest.raises(psycopg.Error), churn_database.as_role(role).transaction() as connection:
            connection.execute(statement)
    assert len(ledger(services)) == 1


def test_the_commands_roll_back_with_a_reason_and_show_the_ledger(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = approve(services, 1), approve(services, 2)
    monkeypatch.setenv("CHURN_DATABASE_URL", services.database.url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", services.registry.tracking_uri)
    refused = CliRunner().invoke(commands, ["rollback"])
    assert refused.exit_code == 2
    done = CliRunner().invoke(commands, ["rollback", "--reason", REASON, "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)[0]["production"] == old
    shown = CliRunner().invoke(commands, ["history", "--json"], catch_exceptions=False)
    assert [row["decision"] for row in json.loads(shown.stdout)] == ["rolled_back", "promoted", "promoted"]
    assert services.registry.production_version().version != new


def test_a_version_that_was_only_proposed_is_not_one_to_go_back_to(services: Services) -> None:
    old = approve(services, 1)
    proposed = register_model(services, 2)
    with services.database.transaction() as connection:
        promotions.record(
            connection,
            decision=Decision(True, "The challenger meets every rule.", ()),
            model_version=proposed,
            previous_version=old,
            evidence={"digest": services.registry.version(proposed).digest},
            policy=Policy(promotion_mode="approve"),
        )
    with pytest.raises(RollbackRefused, match=f"Version {proposed} was never approved"):
        roll_back_model(services, REASON, proposed)
    with pytest.raises(RollbackRefused, match="knows none that served before"):
        roll_back_model(services, REASON)
    assert services.registry.production_version().version == old
