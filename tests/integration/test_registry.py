"""The registry against a real MLflow server: what comes back is what went in, or nothing comes back."""

import json
import shutil
import socket
import sys
import time
from datetime import date
from pathlib import Path
from uuid import uuid4

import mlflow
import numpy as np
import pandas as pd
import pytest

from churn.core.candidates import CANDIDATES
from churn.core.model import ChurnModel
from churn.core.plots import draw_plots
from churn.core.profit import RetentionEconomics
from churn.core.training import TrainingData, draw_reference, fit_model
from churn.errors import ArtifactRejected, NoProductionModel, RegistryUnavailable
from churn.platform.ports import LOOPBACK
from churn.policy import Policy
from churn.records import ModelVersion
from churn.registry import MODEL_NAME, Registry
from churn.simulator import simulate
from churn.tracking import LARGEST_BATCH, Tracking
from tests.conftest import TestMlflow, without_aliases
from tests.server import random_free_port

POLICY = Policy()
CUSTOMERS = next(simulate(1_500, seed=11))
DATA = TrainingData.from_extract(CUSTOMERS, date(2026, 11, 1), "a" * 64)


@pytest.fixture(scope="module")
def model() -> ChurnModel:
    return fit_model("lightgbm", DATA, POLICY, {"rounds": 40})


@pytest.fixture
def registry(mlflow_server: TestMlflow) -> Registry:
    """A registry without a Production version."""
    without_aliases(mlflow_server.tracking_uri)
    return Registry(mlflow_server.tracking_uri)


def register(registry: Registry, model: ChurnModel, tags: dict[str, str] | None = None) -> ModelVersion:
    run = Tracking(registry.tracking_uri).start_run("a retraining")
    return registry.register(model, run.run_id, draw_reference(model, DATA, POLICY, 300), POLICY, tags)


def folder_of(server: TestMlflow, version: ModelVersion) -> Path:
    """Where the server keeps the artifact of a version."""
    source = mlflow.MlflowClient(server.tracking_uri).get_model_version(MODEL_NAME, str(version.version)).source
    (found,) = server.artifacts.rglob(source.removeprefix("models:/"))
    return found / "artifacts"


@pytest.mark.parametrize("kind", CANDIDATES)
def test_a_registered_model_comes_back_with_the_same_bits(registry: Registry, kind: str) -> None:
    small = {"random_forest": {"n_estimators": 10}, "logistic": {}}.get(kind, {"rounds": 20})
    model = fit_model(kind, DATA, POLICY, small)  # type: ignore[arg-type]
    version = register(registry, model)

    loaded = registry.load(version.version, expected_digest=version.digest)

    np.testing.assert_array_equal(loaded.predict(CUSTOMERS), model.predict(CUSTOMERS))


def test_a_new_version_is_in_development_with_its_tags_and_digest(registry: Registry, model: ChurnModel) -> None:
    version = register(registry, model, {"snapshot_date": "2026-11-01"})

    assert version.stage == "development"
    assert version.tags["snapshot_date"] == "2026-11-01"
    assert len(version.digest) == 64
    assert registry.version(version.version) == version


def test_registering_the_same_run_again_makes_no_second_version(registry: Registry, model: ChurnModel) -> None:
    run = Tracking(registry.tracking_uri).start_run("a retraining")
    reference = draw_reference(model, DATA, POLICY, 300)

    first = registry.register(model, run.run_id, reference, POLICY)
    again = registry.register(model, run.run_id, reference, POLICY)

    assert again == first


def test_there_is_no_production_model_before_a_promotion(registry: Registry, model: ChurnModel) -> None:
    with pytest.raises(NoProductionModel, match="No version"):
        registry.production_version()
    register(registry, model)
    with pytest.raises(NoProductionModel, match="No version"):
        registry.production_version()


def test_a_promotion_moves_the_alias_and_archives_the_version_before(registry: Registry, model: ChurnModel) -> None:
    first, second = register(registry, model), register(registry, model)

    registry.promote(first.version)
    assert registry.production_version().version == first.version
    registry.promote(second.version)
    registry.promote(second.version)  # a task that runs twice changes nothing

    assert registry.production_version().version == second.version
    assert registry.production_version().stage == "production"
    assert registry.version(first.version).stage == "archived"


def stages(registry: Registry) -> dict[str, list[int]]:
    """The versions in each stage that only one may have."""
    client = mlflow.MlflowClient(registry.tracking_uri)
    return {
        stage: [int(each.version) for each in client.search_model_versions(f"tags.stage = '{stage}'")]
        for stage in ("production", "staging")
    }


def test_the_version_that_served_before_is_known_by_its_alias(registry: Registry, model: ChurnModel) -> None:
    first, second = register(registry, model), register(registry, model)

    registry.promote(first.version)
    assert registry.previous_version() is None
    registry.promote(second.version)
    registry.promote(second.version)

    previous = registry.previous_version()
    assert previous is not None
    assert (previous.version, previous.stage) == (first.version, "archived")


def test_a_version_goes_through_its_stages_one_at_a_time(registry: Registry, model: ChurnModel) -> None:
    first, second, third = (register(registry, model).version for _ in range(3))
    assert registry.version(first).stage == "development"

    registry.stage(first)
    assert stages(registry) == {"production": [], "staging": [first]}
    registry.promote(first)
    assert stages(registry) == {"production": [first], "staging": []}
    assert registry.staging_version() is None
    registry.stage(second)
    registry.stage(third)
    assert stages(registry) == {"production": [first], "staging": [third]}
    assert registry.version(second).stage == "archived"
    registry.promote(second)
    assert stages(registry) == {"production": [second], "staging": [third]}
    registry.stage(second)  # what serves is no challenger
    assert stages(registry) == {"production": [second], "staging": []}


@pytest.mark.parametrize("mended_by", ["promote", "stage", "reconcile"])
def test_a_promotion_that_died_after_the_alias_is_finished_by_the_next_call(
    registry: Registry, model: ChurnModel, mended_by: str
) -> None:
    first, second, third = (register(registry, model).version for _ in range(3))
    registry.promote(first)
    registry.stage(second)
    client = mlflow.MlflowClient(registry.tracking_uri)
    client.set_registered_model_alias(MODEL_NAME, "previous", str(first))
    client.set_registered_model_alias(MODEL_NAME, "production", str(second))  # and here it died

    numbers = {"promote": [second], "stage": [third], "reconcile": []}[mended_by]
    getattr(registry, mended_by)(*numbers)

    assert stages(registry) == {"production": [second], "staging": [third] if mended_by == "stage" else []}
    assert registry.version(first).stage == "archived"
    previous = registry.previous_version()
    assert previous is not None
    assert previous.version == first


def test_promoting_an_unknown_version_leaves_production_alone(registry: Registry, model: ChurnModel) -> None:
    version = register(registry, model)
    registry.promote(version.version)

    with pytest.raises(ArtifactRejected, match="no version 999"):
        registry.promote(999)

    assert registry.production_version().version == version.version


def test_the_reference_travels_with_the_version(registry: Registry, model: ChurnModel) -> None:
    version = register(registry, model)

    pd.testing.assert_frame_equal(
        registry.load_reference(version.version), draw_reference(model, DATA, POLICY, 300), check_dtype=False
    )


def test_the_policy_in_force_travels_with_the_version(
    registry: Registry, model: ChurnModel, mlflow_server: TestMlflow
) -> None:
    version = register(registry, model)

    stored = (folder_of(mlflow_server, version) / "artifacts/policy.json").read_text()

    assert Policy.model_validate(json.loads(stored)) == POLICY


def test_plain_mlflow_gives_the_same_probabilities(
    registry: Registry, model: ChurnModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote(register(registry, model).version)
    monkeypatch.setattr(sys, "path", list(sys.path))
    mlflow.set_tracking_uri(registry.tracking_uri)

    plain = mlflow.pyfunc.load_model(f"models:/{MODEL_NAME}@production")
    some = CUSTOMERS[["tenure", "Contract"]].assign(tenure=[None, *CUSTOMERS["tenure"][1:]])

    for frame in (CUSTOMERS, CUSTOMERS.astype(str), some):
        np.testing.assert_array_equal(plain.predict(frame), model.predict(frame))


@pytest.mark.parametrize("name", ["estimator.txt", "model.json"])
def test_a_tampered_artifact_is_rejected_before_it_is_deserialised(
    registry: Registry,
    model: ChurnModel,
    mlflow_server: TestMlflow,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    version = register(registry, model)
    path = folder_of(mlflow_server, version) / "artifacts/churn_model" / name
    path.write_bytes(path.read_bytes() + b" ")
    deserialised: list[object] = []
    monkeypatch.setattr(ChurnModel, "from_files", deserialised.append)

    with pytest.raises(ArtifactRejected, match="digest"):
        registry.load(version.version)

    assert deserialised == []


def test_what_was_loaded_last_is_downloaded_once_while_its_digest_stands(
    registry: Registry, model: ChurnModel, mlflow_server: TestMlflow
) -> None:
    version = register(registry, model)
    loaded, reference = registry.load(version.version), registry.load_reference(version.version)
    reference["churn_probability"] = 0.0  # whatever a caller does with it
    shutil.rmtree(folder_of(mlflow_server, version) / "artifacts")

    assert registry.load(version.version, expected_digest=version.digest) is loaded
    assert (registry.load_reference(version.version).churn_probability > 0).all()

    client = mlflow.MlflowClient(registry.tracking_uri)
    for tag in ("digest", "artifact_digest"):
        client.set_model_version_tag(MODEL_NAME, str(version.version), tag, "0" * 64)
    with pytest.raises(ArtifactRejected):
        registry.load(version.version)
    with pytest.raises(ArtifactRejected):
        registry.load_reference(version.version)


def test_an_added_file_makes_the_artifact_another_one(
    registry: Registry, model: ChurnModel, mlflow_server: TestMlflow
) -> None:
    version = register(registry, model)
    (folder_of(mlflow_server, version) / "artifacts/churn_model/extra.py").write_text("raise SystemExit")

    with pytest.raises(ArtifactRejected, match="digest"):
        registry.load(version.version)


def test_a_lost_artifact_is_rejected_and_says_what_is_missing(
    registry: Registry, model: ChurnModel, mlflow_server: TestMlflow
) -> None:
    version = register(registry, model)
    shutil.rmtree(folder_of(mlflow_server, version) / "artifacts/churn_model")

    with pytest.raises(ArtifactRejected, match="churn_model"):
        registry.load(version.version)


@pytest.mark.parametrize("name", ["reference.parquet", "contents.json"])
def test_a_reference_that_is_not_the_one_that_was_registered_is_rejected(
    registry: Registry, model: ChurnModel, mlflow_server: TestMlflow, name: str
) -> None:
    version = register(registry, model)
    path = folder_of(mlflow_server, version) / "artifacts" / name
    path.write_bytes(path.read_bytes() + b" ")

    with pytest.raises(ArtifactRejected, match=name):
        registry.load_reference(version.version)


def test_an_early_version_still_needs_a_reference_that_can_be_read(
    registry: Registry, model: ChurnModel, mlflow_server: TestMlflow
) -> None:
    version = register(registry, model)
    client = mlflow.MlflowClient(registry.tracking_uri)
    client.delete_model_version_tag(MODEL_NAME, str(version.version), "artifact_digest")
    assert len(registry.load_reference(version.version)) == 300
    path = folder_of(mlflow_server, version) / "artifacts/reference.parquet"
    path.write_bytes(b"not a table")
    with pytest.raises(ArtifactRejected, match="cannot be read"):
        registry.load_reference(version.version)
    path.unlink()
    with pytest.raises(ArtifactRejected, match=r"has no artifacts/reference\.parquet"):
        registry.load_reference(version.version)


def test_another_digest_than_the_expected_one_is_rejected(registry: Registry, model: ChurnModel) -> None:
    version = register(registry, model)

    with pytest.raises(ArtifactRejected, match="expected"):
        registry.load(version.version, expected_digest="0" * 64)


def test_a_server_that_is_away_is_an_answer_within_15_seconds() -> None:
    registry = Registry(f"http://{LOOPBACK}:{random_free_port()}")
    started = time.monotonic()

    with pytest.raises(RegistryUnavailable, match="MLflow at"):
        registry.production_version()

    assert time.monotonic() - started < 15


def test_a_server_that_never_answers_is_an_answer_within_15_seconds() -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        registry = Registry(f"http://{LOOPBACK}:{silent.getsockname()[1]}")
        started = time.monotonic()

        with pytest.raises(RegistryUnavailable, match="MLflow at"):
            registry.production_version()

    assert time.monotonic() - started < 15


def test_a_run_keeps_parameters_metrics_dataset_and_pictures(mlflow_server: TestMlflow) -> None:
    tracking = Tracking(mlflow_server.tracking_uri)
    parent = tracking.start_run("retraining", {"snapshot_date": "2026-11-01"})
    labels, probabilities = np.array([0, 1, 0, 1]), np.array([0.1, 0.7, 0.4, 0.3])
    with tracking.start_run("lightgbm", parent_run_id=parent.run_id) as child:
        child.log(parameters={"rounds": 300}, metrics={"brier": 0.13}, tags={"kind": "lightgbm"})
        child.log(series={"roc_auc": [0.83, 0.85], "seconds": range(2 * LARGEST_BATCH)})
        child.log_dataset("customers", "f" * 64, "a" * 64, 4, "training")
        child.log_table(pd.DataFrame({"fold": [1], "roc_auc": [0.85]}), "folds.json")
        for name, figure in draw_plots(
            labels, probabilities, "lightgbm", RetentionEconomics.from_policy(POLICY)
        ).items():
            child.log_figure(figure, f"plots/{name}")

    client = mlflow.MlflowClient(mlflow_server.tracking_uri)
    kept = client.get_run(child.run_id)

    assert kept.info.status == "FINISHED"
    assert kept.data.tags["mlflow.parentRunId"] == parent.run_id
    assert kept.data.params == {"rounds": "300"}
    assert kept.data.tags["kind"] == "lightgbm"
    assert kept.data.metrics == {"brier": 0.13, "roc_auc": 0.85, "seconds": 2 * LARGEST_BATCH - 1}
    assert len(client.get_metric_history(child.run_id, "seconds")) == 2 * LARGEST_BATCH
    series = client.get_metric_history(child.run_id, "roc_auc")
    assert [(measured.step, measured.value) for measured in series] == [(0, 0.83), (1, 0.85)]
    assert json.loads(kept.inputs.dataset_inputs[0].dataset.profile)["fingerprint"] == "f" * 64
    assert len(client.list_artifacts(child.run_id, "plots")) == 5


def test_a_run_that_raises_is_marked_as_failed(mlflow_server: TestMlflow) -> None:
    tracking = Tracking(mlflow_server.tracking_uri)
    run = tracking.start_run("doomed")

    with pytest.raises(ZeroDivisionError), tracking.run(run.run_id):
        raise ZeroDivisionError

    client = mlflow.MlflowClient(mlflow_server.tracking_uri)
    assert client.get_run(run.run_id).info.status == "FAILED"


def test_the_environment_may_ask_for_more_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    Registry(f"http://{LOOPBACK}:1/{uuid4()}")

    assert mlflow.environment_variables.MLFLOW_HTTP_REQUEST_TIMEOUT.get() == 77
