"""The model registry: an adapter over MLflow that deserialises nothing before its digest has matched.

Reading (`production_version`, `load`) needs mlflow-skinny only. One truth says which version is Production:
the alias `production`. The alias `previous` names the version that served before it, and the tag `stage` says the
same to people who look at one version.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from churn.core.model import ChurnModel, digest
from churn.errors import ArtifactRejected, NoProductionModel
from churn.mlflow_server import answer_quickly, asking, client_of, patiently
from churn.model_artifact import (
    ARTIFACT_DIGEST_TAG,
    CONTENTS_FILE,
    MODEL_FOLDER,
    REFERENCE_FILE,
    log_artifact,
    require_intact,
)
from churn.policy import Policy
from churn.records import ModelVersion

if TYPE_CHECKING:  # a service that only reads needs no pandas
    import pandas as pd

MODEL_NAME = "churn"
PRODUCTION_ALIAS, STAGING_ALIAS, PREVIOUS_ALIAS = "production", "staging", "previous"
STAGE_TAG, DIGEST_TAG = "stage", "digest"
DEVELOPMENT, STAGING, PRODUCTION, ARCHIVED = "development", "staging", "production", "archived"

T = TypeVar("T")


class Registry:
    """The versions of the model `churn` on one MLflow server.

    Every method raises RegistryUnavailable where the server cannot be reached or does not answer.
    """

    def __init__(self, tracking_uri: str) -> None:
        answer_quickly()
        self.tracking_uri = tracking_uri
        # What was loaded last, by its version and the digest that was recorded with it.
        self._model: tuple[tuple[int, str | None], ChurnModel] | None = None
        self._reference: tuple[tuple[int, str], pd.DataFrame] | None = None

    @property
    def _client(self) -> Any:
        return client_of(self.tracking_uri)

    def production_version(self) -> ModelVersion:
        """The version that carries the alias `production`: ask once, then pass the number on.

        Raises NoProductionModel.
        """
        found = self._by_alias(PRODUCTION_ALIAS)
        if found is None:
            raise NoProductionModel(
                f"No version of the model {MODEL_NAME} is Production.",
                "Run retrain_model on a labelled snapshot, or promote a version.",
            )
        return found

    def staging_version(self) -> ModelVersion | None:
        """The version that carries the alias `staging`: the challenger that is not Production, if there is one."""
        return self._by_alias(STAGING_ALIAS)

    def previous_version(self) -> ModelVersion | None:
        """The version that carries the alias `previous`: it served before the Production version, if one did."""
        return self._by_alias(PREVIOUS_ALIAS)

    def stage(self, number: int) -> None:
        """Make a version the challenger: alias and tag `staging`. Repeating it changes nothing.

        Raises ArtifactRejected where the registry does not have the version.
        """
        self._version(number)
        self._set_alias(STAGING_ALIAS, number)
        self.reconcile()

    def version(self, number: int) -> ModelVersion:
        """One version by its number. Raises ArtifactRejected where the registry does not have it."""
        return _as_record(self._version(number))

    def load(self, number: int, expected_digest: str | None = None) -> ChurnModel:
        """Download a version and verify its bytes before anything is deserialised.

        The bytes must have the digest recorded with the version, and `expected_digest` where one is given. What was
        loaded last is not downloaded again while that digest is recorded.
        Raises ArtifactRejected where they do not, or where a file is missing or damaged.
        """
        found = self._version(number)
        recorded = found.tags.get(DIGEST_TAG)
        if self._model and self._model[0] == (number, recorded) and expected_digest in (None, recorded):
            return self._model[1]
        with tempfile.TemporaryDirectory(prefix="churn-model-") as folder:
            downloaded = self._download(found, MODEL_FOLDER, folder)
            files = {path.name: path.read_bytes() for path in downloaded.iterdir()}
        if recorded != digest(files) or expected_digest not in (None, recorded):
            raise ArtifactRejected(
                f"The files of version {number} have the digest {digest(files)}, recorded is {recorded}"
                + (f", expected {expected_digest}." if expected_digest else "."),
                "Do not use this version: restore its artifact from a backup, or promote another version.",
            )
        model = ChurnModel.from_files(files)
        self._model = (number, recorded), model
        return model

    def load_reference(self, number: int) -> "pd.DataFrame":
        """The sample of training rows and scores that travels with a version (training.draw_reference).

        It must be the file that was registered; what was loaded last is not downloaded again while the digest of its
        artifact is recorded. Raises ArtifactRejected where it is not, is missing or cannot be read.
        """
        import pandas as pd
        import pyarrow

        found = self._version(number)
        recorded = found.tags.get(ARTIFACT_DIGEST_TAG)
        if self._reference and self._reference[0] == (number, recorded):
            return self._reference[1].copy(deep=False)
        with tempfile.TemporaryDirectory(prefix="churn-reference-") as folder:
            path = self._download(found, REFERENCE_FILE, folder)
            if recorded is not None:  # early versions have none
                self._download(found, CONTENTS_FILE, folder)
                require_intact(Path(folder), recorded, [REFERENCE_FILE])
            try:
                reference = pd.read_parquet(path)
            except pyarrow.ArrowInvalid as error:
                raise ArtifactRejected(
                    f"The reference of version {number} cannot be read: {error}.", "Register the model again."
                ) from error
        self._reference = ((number, recorded), reference) if recorded else None
        return reference.copy(deep=False)

    def verify_artifact(self, number: int) -> None:
        """Download the whole artifact of a version and hold its code and data against what was registered.

        Raises ArtifactRejected naming the files that are missing, changed or were never registered.
        """
        found = self._version(number)
        with tempfile.TemporaryDirectory(prefix="churn-artifact-") as folder, asking(self.tracking_uri):
            self._artifact_of(found).download_artifacts("", folder)
            require_intact(Path(folder), found.tags.get(ARTIFACT_DIGEST_TAG))

    def register(
        self,
        model: ChurnModel,
        run_id: str,
        reference: "pd.DataFrame",
        policy: Policy,
        tags: Mapping[str, str] | None = None,
    ) -> ModelVersion:
        """Log a model to a run of the tracking server and register it as a new version in stage development.

        The artifact holds the model's files, the reference, the policy, a signature, an input example and the
        code to load it: no pickle. Repeating it for the same run returns the version that is there.
        """
        with asking(self.tracking_uri), patiently():
            known = self._registered_by(run_id)
            if known is not None:
                return known
            files = model.to_files()
            model_id = log_artifact(self.tracking_uri, run_id, files, reference, policy)
            self._create_registered_model()
            own_tags = {
                "kind": model.kind,
                STAGE_TAG: DEVELOPMENT,
                DIGEST_TAG: digest(files),
                ARTIFACT_DIGEST_TAG: self._client.get_logged_model(model_id).tags[ARTIFACT_DIGEST_TAG],
            }
            created = self._client.create_model_version(
                MODEL_NAME, f"models:/{model_id}", run_id, {**(tags or {}), **own_tags}, model_id=model_id
            )
        return self.version(int(created.version))

    def promote(self, number: int) -> None:
        """Make a version Production, and the one before it `previous` and archived. Repeating it changes nothing.

        The alias `production` moves in one call of the server. What was left undone around it by a caller that died
        is done by the next call of this, of `stage` or of `reconcile`. Raises ArtifactRejected where the registry
        does not have the version.
        """
        self._version(number)
        serving = self._by_alias(PRODUCTION_ALIAS)
        if serving is not None and serving.version != number:
            self._set_alias(PREVIOUS_ALIAS, serving.version)  # first: afterwards nobody knows which it was
        self._set_alias(PRODUCTION_ALIAS, number)
        self.reconcile()

    def reconcile(self) -> None:
        """Bring the tags `stage` and the alias `staging` in step with the alias `production`, which is the truth.

        A version has one stage, and never are two tagged production: whatever leaves that stage is tagged first.
        """
        serving, challenger = self._by_alias(PRODUCTION_ALIAS), self._by_alias(STAGING_ALIAS)
        with asking(self.tracking_uri):
            tagged = self._tagged(PRODUCTION) | self._tagged(STAGING)
            wanted = dict.fromkeys(tagged, ARCHIVED)
            if challenger:
                wanted[challenger.version] = STAGING
            if serving:
                wanted.pop(serving.version, None)
                wanted[serving.version] = PRODUCTION
            for number, stage in wanted.items():
                if tagged.get(number) != stage:
                    self._client.set_model_version_tag(MODEL_NAME, str(number), STAGE_TAG, stage)
            if challenger and wanted[challenger.version] == PRODUCTION:
                self._client.delete_registered_model_alias(MODEL_NAME, STAGING_ALIAS)

    def _tagged(self, stage: str) -> dict[int, str]:
        """The versions whose tag says that they are in a stage."""
        found = self._client.search_model_versions(f"name = '{MODEL_NAME}' and tags.{STAGE_TAG} = '{stage}'")
        return {int(each.version): stage for each in found}

    def _set_alias(self, alias: str, number: int) -> None:
        with asking(self.tracking_uri):
            self._client.set_registered_model_alias(MODEL_NAME, alias, str(number))

    def _by_alias(self, alias: str) -> ModelVersion | None:
        found = self._find(lambda: self._client.get_model_version_by_alias(MODEL_NAME, alias))
        return None if found is None else _as_record(found)

    def _find(self, look_up: Callable[[], T]) -> T | None:
        """What a look-up finds, or None where the server answers that it is not there."""
        from mlflow.exceptions import MlflowException

        with asking(self.tracking_uri):
            try:
                return look_up()
            except MlflowException as error:
                # An unknown alias is an invalid parameter to MLflow, an unknown model a missing resource.
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise

    def _version(self, number: int) -> Any:
        found = self._find(lambda: self._client.get_model_version(MODEL_NAME, str(number)))
        if found is None:
            raise ArtifactRejected(
                f"The registry has no version {number} of the model {MODEL_NAME}.",
                "Choose one of the versions that the MLflow page of the model lists.",
            )
        return found

    def _registered_by(self, run_id: str) -> ModelVersion | None:
        found = self._client.search_model_versions(f"name = '{MODEL_NAME}' and run_id = '{run_id}'")
        return _as_record(found[0]) if found else None

    def _create_registered_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(MODEL_NAME, description="Probability that a customer leaves.")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _download(self, found: Any, path: str, folder: str) -> Path:
        """Fetch a file or folder of a version's artifact. Raises ArtifactRejected where it is not there."""
        with asking(self.tracking_uri):
            artifact = self._artifact_of(found)
            if path in {entry.path for entry in artifact.list_artifacts(path.rpartition("/")[0])}:
                return Path(artifact.download_artifacts(path, folder))
        raise ArtifactRejected(
            f"The artifact of version {found.version} has no {path}.",
            "Restore it from a backup, or promote another version.",
        )

    def _artifact_of(self, found: Any) -> Any:
        """MLflow's door to the files of a version."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        root = self._client.get_model_version_download_uri(MODEL_NAME, found.version)
        if root.startswith("models:/"):
            root = self._client.get_logged_model(root.removeprefix("models:/")).artifact_location
        return get_artifact_repository(root, self.tracking_uri, self.tracking_uri)


def _as_record(found: Any) -> ModelVersion:
    tags = dict(found.tags)
    return ModelVersion(
        int(found.version), found.run_id, tags.get(DIGEST_TAG, ""), tags.get(STAGE_TAG, DEVELOPMENT), tags
    )
