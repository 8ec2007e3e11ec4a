"""A registered version held against everything that was recorded of it, before or while it serves."""

from dataclasses import dataclass

import numpy as np

from churn.core.contributions import contributions_of
from churn.core.engines import CannotCompile
from churn.core.smoke_test import fault_of
from churn.core.training import SCORE_COLUMN
from churn.db import promotions
from churn.errors import ArtifactRejected
from churn.services import Services


@dataclass(frozen=True)
class VerifiedModel:
    """A version whose code and data are the registered ones and that knows its own reference again.

    `approved` is whether the ledger has an approval of exactly these bytes.
    """

    model_version: int
    kind: str
    stage: str
    digest: str
    reference_count: int
    largest_difference: float
    approved: bool


def verify_model(services: Services, model_version: int | None = None) -> VerifiedModel:
    """Verify a version (the Production version where left out): files, digest, scores of its reference, reasons.

    Raises ArtifactRejected saying what is wrong, NoProductionModel, RegistryUnavailable.
    """
    registry = services.registry
    found = registry.version(model_version) if model_version else registry.production_version()
    registry.verify_artifact(found.version)
    model = registry.load(found.version)
    reference = registry.load_reference(found.version)
    matrix, recorded = model.encoder.encode(reference), reference[SCORE_COLUMN].to_numpy(np.float64)
    answered = model.probabilities(matrix)
    if (fault := fault_of(answered, recorded)) is not None:
        raise _rejected(found.version, fault)
    try:
        contributions_of(model, matrix).contributions(matrix[:1])
    except CannotCompile as error:
        raise _rejected(found.version, f"it cannot be explained: {error}") from error
    with services.database.transaction() as connection:
        approved = promotions.approved_digests(connection)
    return VerifiedModel(
        model_version=found.version,
        kind=model.kind,
        stage=found.stage,
        digest=found.digest,
        reference_count=len(recorded),
        largest_difference=float(np.abs(answered - recorded).max()),
        approved=approved.get(found.version) == found.digest,
    )


def _rejected(model_version: int, why: str) -> ArtifactRejected:
    return ArtifactRejected(
        f"Version {model_version} is not what was registered: {why}.",
        "Restore its artifact from a backup, or promote another version.",
    )
