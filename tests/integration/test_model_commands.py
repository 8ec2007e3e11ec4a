"""What the commands about models say of a real training, its registry and what came true."""

import json
from pathlib import Path
from typing import Any

import pytest

from churn import model_commands
from churn.errors import ArtifactRejected
from churn.jobs.retrain_model import retrain_model
from churn.jobs.verify_model import verify_model
from churn.registry import MODEL_NAME
from churn.services import Services
from tests.conftest import TestMlflow
from tests.jobs import admit_simulated, approve_model, lightly, register_model


def test_candidates_and_promises_of_a_training_are_listed(
    services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    light = lightly(services)
    monkeypatch.setattr(model_commands, "open_services", lambda: light)
    admit_simulated(light, 1_500)
    result = retrain_model(light)
    model_commands.candidates(as_json=True)
    listed = _printed(capsys)
    assert {row["candidate"]: row["roc_auc"] for row in listed} == {
        each.kind: pytest.approx(each.roc_auc.value) for each in result.candidates
    }
    assert all(row["low"] < row["roc_auc"] < row["high"] for row in listed)
    model_commands.performance(as_json=True)
    (promised,) = _printed(capsys)
    assert promised["model_version"] == result.summary()["model_version"]
    assert promised["holdout_auc_low"] < promised["holdout_auc"] < promised["holdout_auc_high"]
    assert promised["realised_auc"] is None  # nothing has settled


def test_a_registered_version_is_what_was_registered(services: Services) -> None:
    version = approve_model(services)
    verified = verify_model(services)
    assert (verified.model_version, verified.kind, verified.stage) == (version, "logistic", "production")
    assert verified.approved
    assert verified.reference_count > 0
    assert verified.largest_difference <= 1e-9


def test_a_version_that_nobody_approved_is_verified_and_said_to_be_so(services: Services) -> None:
    assert not verify_model(services, register_model(services, seed=7)).approved


@pytest.mark.parametrize("name", ["mlflow_model.py", "reference.parquet", "model.json", "reasons.py"])
def test_one_changed_byte_of_code_or_data_is_found_and_named(
    services: Services, mlflow_server: TestMlflow, name: str
) -> None:
    version = register_model(services, seed=8)
    file = _file_of(services, mlflow_server.artifacts, version, name)
    before = file.read_bytes()
    file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    try:
        with pytest.raises(ArtifactRejected, match=name):
            verify_model(services, version)
    finally:
        file.write_bytes(before)
    verify_model(services, version)


def test_a_file_that_was_never_registered_is_found(services: Services, mlflow_server: TestMlflow) -> None:
    version = register_model(services, seed=8)
    foreign = _file_of(services, mlflow_server.artifacts, version, "reference.parquet").with_name("foreign.pkl")
    foreign.write_bytes(b"anything")
    try:
        with pytest.raises(ArtifactRejected, match=r"foreign\.pkl"):
            verify_model(services, version)
    finally:
        foreign.unlink()


def _file_of(services: Services, artifacts: Path, version: int, name: str) -> Path:
    model_id = services.registry._client.get_model_version(MODEL_NAME, str(version)).source.removeprefix("models:/")
    (found,) = (path for path in artifacts.rglob(name) if model_id in path.parts)
    return found


def _printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return rows
