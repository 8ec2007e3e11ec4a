"""A retraining: everything logged, the gate decides, any error keeps Production."""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import mlflow
import pytest

from churn.core import training
from churn.core.candidates import CANDIDATES
from churn.db import extracts, validation_results
from churn.errors import AlreadyRunning, NoProductionModel, NothingToTrainOn, RegistryUnavailable, TrainingRefused
from churn.jobs.decide_promotion import Retraining, decide_promotion
from churn.jobs.plan_training import frozen_rows, plan_training
from churn.jobs.retrain_model import retrain_model
from churn.jobs.train_candidate import train_candidate
from churn.platform.ports import LOOPBACK
from churn.records import ModelVersion
from churn.services import Services
from churn.tracking import Tracking
from tests.conftest import TestDatabase, TestMlflow, TestServer, without_aliases
from tests.histories import admit_leaving_customers, admit_rows
from tests.jobs import admit_simulated, approve_model, lightly, promote_model, retrain_logistic, with_changes
from tests.server import random_free_port
from tests.watched import open_services


@pytest.fixture
def services(services: Services) -> Services:
    """Real services whose searches are short."""
    return lightly(services)


def _ledger(services: Services) -> list[dict[str, object]]:
    with services.database.transaction() as connection:
        return connection.execute("SELECT * FROM churn.promotions ORDER BY promotion_id").fetchall()


@dataclass(frozen=True)
class Retrained:
    """A first retraining, on 3,000 customers, with what it left in the registry and in the ledger."""

    services: Services
    result: Retraining
    serving: ModelVersion
    ledger: list[dict[str, object]]


@pytest.fixture(scope="module")
def retrained(
    postgres: TestServer, migrated_template: str, mlflow_server: TestMlflow, tmp_path_factory: pytest.TempPathFactory
) -> Retrained:
    database = postgres.copy(migrated_template, "churn_retrained")
    without_aliases(mlflow_server.tracking_uri)
    services = open_services(database, mlflow_server, tmp_path_factory.mktemp("retrained"))
    admit_simulated(services, count=3_000)
    result = retrain_model(services)
    return Retrained(services, result, services.registry.production_version(), _ledger(services))


def test_the_first_good_model_is_promoted_with_its_evidence(retrained: Retrained) -> None:
    services, result = retrained.services, retrained.result
    assert result.decision.approved
    assert result.holdout is not None
    assert retrained.serving.version == result.model_version
    (entry,) = retrained.ledger
    assert entry["decision"] == "promoted"
    evidence = entry["evidence"]
    assert isinstance(evidence, dict)
    assert evidence["holdout"]["roc_auc"]["value"] == result.holdout.roc_auc.value
    assert {candidate["kind"] for candidate in evidence["candidates"]} == set(CANDIDATES)
    assert all(rule["passed"] for rule in evidence["rules"])

    client = mlflow.MlflowClient(tracking_uri=services.tracking.tracking_uri)
    parent = client.get_run(result.mlflow_run_id)
    assert parent.data.metrics["holdout_roc_auc"] == result.holdout.roc_auc.value
    assert {"fingerprint", "content_hash", "snapshot_date", "code_version"} <= set(parent.data.tags)
    assert parent.data.tags["labels"] == result.labels == "as delivered"
    assert parent.inputs.dataset_inputs[0].dataset.digest == parent.data.tags["fingerprint"][:36]
    children = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{result.mlflow_run_id}'")
    assert {child.data.params["kind"] for child in children} == set(CANDIDATES)
    for run in (parent, *children):
        plots = {entry.path for entry in client.list_artifacts(run.info.run_id, "plots")}
        assert len(plots) == (6 if run is parent else 5)
        assert run.info.status == "FINISHED"


def test_people_find_the_comparison_and_the_model_card(retrained: Retrained, tmp_path: Path) -> None:
    services, result = retrained.services, retrained.result
    assert result.holdout is not None
    client = mlflow.MlflowClient(tracking_uri=services.tracking.tracking_uri)
    parent = client.get_run(result.mlflow_run_id)
    assert parent.data.tags["chosen"] == result.winner
    measured = parent.data.metrics
    assert measured["baseline_roc_auc_low"] < measured["blend_roc_auc"] < measured["baseline_roc_auc_high"]

    def text(name: str) -> str:
        return Path(client.download_artifacts(result.mlflow_run_id, name, str(tmp_path))).read_text("utf-8")

    standings = json.loads(text("choice.json"))["standings"]
    assert {each["kind"] for each in standings} == set(CANDIDATES)
    assert [each["kind"] for each in standings if each["verdict"] == "chosen"] == [result.winner]
    card = text("model_card.md")
    assert f"version {result.model_version}" in card
    assert result.decision.reason in card
    assert f"{result.holdout.roc_auc.value:.3f}" in card


def test_the_same_data_again_is_a_tie_and_keeps_production(retrained: Retrained) -> None:
    services, first = retrained.services, retrained.result.model_version
    services.registry.promote(first)  # other tests may have left the registry without a Production version
    second = retrain_model(services)
    assert not second.decision.approved
    assert services.registry.production_version().version == first
    assert [entry["decision"] for entry in _ledger(services)] == ["promoted", "kept"]


def test_a_truly_better_challenger_takes_over(services: Services) -> None:
    admit_simulated(services, count=5_000)
    weak = approve_model(services, shuffled=True)
    result = retrain_model(services)
    assert result.decision.approved
    assert result.model_version != weak
    assert services.registry.production_version().version == result.model_version
    assert services.registry.version(weak).stage == "archived"


def test_a_model_below_the_floor_is_never_promoted(services: Services) -> None:
    admit_simulated(services, count=2_000)
    strict = lightly(services, minimum_auc=0.99)
    result = retrain_logistic(strict)
    assert not result.decision.approved
    assert "holdout AUC" in result.decision.reason
    with pytest.raises(NoProductionModel):
        services.registry.production_version()


def test_without_labels_nothing_is_started(services: Services) -> None:
    admit_simulated(services, count=500, with_churn=False)
    with pytest.raises(NothingToTrainOn, match="Churn"):
        plan_training(services)


def test_too_few_churners_are_refused_with_their_number(services: Services) -> None:
    admit_simulated(services, count=60)
    with pytest.raises(NothingToTrainOn, match="churners"):
        plan_training(services)


def test_with_mlflow_away_production_stays(services: Services) -> None:
    admit_simulated(services, count=2_000)
    version = promote_model(services)
    away = with_changes(services, tracking=Tracking(f"http://{LOOPBACK}:{random_free_port()}"))
    with pytest.raises(RegistryUnavailable):
        retrain_model(away)
    assert services.registry.production_version().version == version
    assert _ledger(services) == []


def test_two_decisions_at_once_are_refused(services: Services) -> None:
    admit_simulated(services, count=2_000)
    plan = plan_training(services)
    trained = [train_candidate(services, plan, "logistic")]
    with services.database.lock("promotion"), pytest.raises(AlreadyRunning):
        decide_promotion(services, plan, trained)
    with pytest.raises(NoProductionModel):
        services.registry.production_version()


def test_the_planned_rows_are_the_newest_labelled_snapshot(services: Services) -> None:
    admit_simulated(services, count=2_000)
    with services.database.transaction() as connection:
        labelled = extracts.current(connection)
    admit_simulated(services, count=2_000, day=date(2026, 11, 23), with_churn=False)
    assert plan_training(services).extract_id == labelled.extract_id


def test_nothing_is_learned_from_customers_that_are_not_what_the_contract_says(
    services: Services, churn_database: TestDatabase
) -> None:
    admit_simulated(services, count=2_000)
    with churn_database.as_role("postgres").transaction() as connection:
        connection.execute("UPDATE churn.customer_history SET contract = 'Weekly' WHERE tenure = 1")
        connection.execute("UPDATE churn.customer_history SET monthly_charges = 'NaN' WHERE tenure = 2")
    with pytest.raises(TrainingRefused) as refusal:
        plan_training(services)
    assert "values to be in set in contract" in refusal.value.message
    assert "for example 'Weekly'" in refusal.value.message
    assert "values to be between in monthly_charges" in refusal.value.message
    with services.database.transaction() as connection:
        results = validation_results.of_extract(connection, extracts.current(connection).extract_id)
    judged = [result for result in results if result.suite == "training_frame"]
    assert {result.column_name for result in judged if not result.succeeded} == {"contract", "monthly_charges"}
    assert all(result.duration_seconds for result in judged)


def test_the_frame_of_a_training_is_judged_and_its_page_is_named_by_the_run(services: Services) -> None:
    admit_simulated(services, count=2_000)
    plan = plan_training(services)
    run = mlflow.MlflowClient(tracking_uri=services.tracking.tracking_uri).get_run(plan.mlflow_run_id)
    assert (services.reports.folder / run.data.tags["data_docs"]).is_file()


def test_once_a_horizon_has_passed_outcomes_are_learned_from_and_every_source_is_named(services: Services) -> None:
    """At first nobody knows who will leave; a month later half of them are gone, and the rest a month after that."""
    day, horizon = date(2026, 8, 1), services.policy.horizon_days
    with services.database.transaction() as connection:
        first, second, third = admit_leaving_customers(connection, day, 4_000, horizon)
    plan = plan_training(services)
    development, holdout = frozen_rows(services, plan)
    assert plan.labels == "outcomes"
    assert [each.extract_id for each in plan.sources.extracts] == [second.extract.extract_id, first.extract.extract_id]
    assert plan.sources.label_extract_ids == (second.extract.extract_id, third.extract.extract_id)

    assert set(development.snapshot_dates.tolist()) == {day}
    assert set(holdout.snapshot_dates.tolist()) == {day + timedelta(days=horizon)}
    left_first = {customer for customer, row in second.rows.items() if row["churned"]}
    left_then = {customer for customer, row in third.rows.items() if row["churned"]}
    assert set(development.customer_ids[development.labels == 1]) <= left_first
    assert set(holdout.customer_ids[holdout.labels == 1]) <= left_then
    assert not left_first & set(holdout.customer_ids)
    assert not set(development.customer_ids) & set(holdout.customer_ids)

    run = mlflow.MlflowClient(tracking_uri=services.tracking.tracking_uri).get_run(plan.mlflow_run_id)
    assert run.data.tags["labels"] == "outcomes"
    named = json.loads(run.data.tags["training_extracts"])
    assert [each["content_hash"] for each in named] == [second.extract.content_hash, first.extract.content_hash]
    assert run.data.metrics["development_row_count"] == len(development.labels)
    with services.database.transaction() as connection:
        for each in (first, second):
            results = validation_results.of_extract(connection, each.extract.extract_id)
            assert {result.suite for result in results} == {"training_frame"}
            assert all(result.succeeded for result in results)

    result = decide_promotion(services, plan, [train_candidate(services, plan, "logistic")])
    assert result.decision.approved
    assert result.summary()["labels"] == "outcomes"
    assert "training_extracts" in services.registry.version(result.model_version).tags


def test_an_extract_that_arrives_or_is_replaced_while_models_train_changes_no_planned_row(services: Services) -> None:
    day = date(2026, 8, 1)
    with services.database.transaction() as connection:
        _, second, third = admit_leaving_customers(connection, day, 4_000, 30)
    plan = plan_training(services)
    planned = training.fingerprint(frozen_rows(services, plan)[0])
    with services.database.transaction() as connection:
        everybody_left = {who: row | {"churned": True} for who, row in third.rows.items()}
        admit_rows(connection, second.extract.snapshot_date, everybody_left)
        admit_rows(connection, third.extract.snapshot_date + timedelta(days=1), everybody_left)
    assert training.fingerprint(frozen_rows(services, plan)[0]) == planned


def test_rows_that_are_changed_under_a_plan_are_not_trained_on(
    services: Services, churn_database: TestDatabase
) -> None:
    with services.database.transaction() as connection:
        admit_leaving_customers(connection, date(2026, 8, 1), 4_000, 30)
    plan = plan_training(services)
    with churn_database.as_role("postgres").transaction() as connection:
        connection.execute("UPDATE churn.customer_history SET tenure = tenure + 1 WHERE snapshot_date = '2026-08-01'")
    with pytest.raises(NothingToTrainOn, match="not those that were planned"):
        frozen_rows(services, plan)
