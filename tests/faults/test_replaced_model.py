"""The registry changes between plan and part: a run keeps to the model that it recorded, or stops."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from churn.errors import ArtifactRejected
from churn.jobs.score_customers import open_run, score_customers
from churn.jobs.score_part import score_part
from churn.model_artifact import MODEL_FOLDER
from churn.registry import DIGEST_TAG, MODEL_NAME
from tests.conftest import TestMlflow
from tests.faults.evening import Evening
from tests.jobs import promote_model
from tests.nights import finish


def test_a_run_keeps_its_version_when_another_is_promoted_meanwhile(evening: Evening) -> None:
    run = open_run(evening.services)
    other = promote_model(evening.services, seed=2)
    assert other != evening.model_version
    finished = finish(evening.services, run)
    assert finished.model_version == evening.model_version
    evening.require_finished()
    assert score_customers(evening.services).model_version == other  # the next night is the new version's
    assert evening.table().text != evening.undisturbed


def _flip_a_byte(artifact: Path, other: Path, evening: Evening) -> None:
    estimator = artifact / MODEL_FOLDER / "estimator.skops"
    content = bytearray(estimator.read_bytes())
    content[len(content) // 2] ^= 1
    estimator.write_bytes(content)


def _put_another_model_there(artifact: Path, other: Path, evening: Evening) -> None:
    """Files and recorded digest fit together; only the run knows better."""
    shutil.copytree(other / MODEL_FOLDER, artifact / MODEL_FOLDER, dirs_exist_ok=True)
    registry = evening.services.registry
    digest = registry.version(promote_model(evening.services, seed=2)).digest
    MlflowClient(registry.tracking_uri, registry.tracking_uri).set_model_version_tag(
        MODEL_NAME, str(evening.model_version), DIGEST_TAG, digest
    )


@pytest.mark.parametrize("replace", [_flip_a_byte, _put_another_model_there])
def test_a_model_whose_files_were_replaced_scores_nobody(
    evening: Evening, mlflow_server: TestMlflow, tmp_path: Path, replace: Callable[[Path, Path, Evening], None]
) -> None:
    artifact = _folder_of(evening, mlflow_server, evening.model_version)
    other = _folder_of(evening, mlflow_server, promote_model(evening.services, seed=2))
    promote_model(evening.services)
    honest = evening.services.registry.version(evening.model_version).digest
    shutil.copytree(artifact, tmp_path / "backup")
    run = open_run(evening.services)
    try:
        replace(artifact, other, evening)
        with pytest.raises(ArtifactRejected, match="restore its artifact from a backup, or promote another version"):
            score_part(evening.services, run.scoring_run_id, 1)
        evening.require_yesterday()
        assert evening.ask("SELECT count(*) AS n FROM churn.scores_2") == [{"n": 0}]
    finally:
        shutil.copytree(tmp_path / "backup", artifact, dirs_exist_ok=True)
        uri = evening.services.registry.tracking_uri
        MlflowClient(uri, uri).set_model_version_tag(MODEL_NAME, str(evening.model_version), DIGEST_TAG, honest)
        promote_model(evening.services)
    score_customers(evening.services)
    evening.require_finished()


def _folder_of(evening: Evening, mlflow_server: TestMlflow, version: int) -> Path:
    """Where the MLflow server keeps the artifact of a version."""
    uri = evening.services.registry.tracking_uri
    location = MlflowClient(uri, uri).get_model_version_download_uri(MODEL_NAME, str(version))
    return mlflow_server.artifacts / location.removeprefix("mlflow-artifacts:/")
