"""A model made ready to answer: its bytes verified, its fastest exact engine, its explainer; smoke-tested."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from churn.core.candidates import blank_randomly
from churn.core.contributions import Explainer, contributions_of
from churn.core.engines import CannotCompile, Engine, fastest_engine
from churn.core.features import Matrix
from churn.core.model import ChurnModel
from churn.core.smoke_test import fault_of
from churn.errors import ArtifactRejected
from churn.records import ModelVersion
from churn.registry import Registry

SCORE_COLUMN = "churn_probability"  # of the reference: core.training.SCORE_COLUMN, which brings what trains
_SEED = 20_261


@dataclass(frozen=True)
class Served:
    """A model in use. `percentile_cuts` (99,) divide the scores of its reference into hundredths."""

    model: ChurnModel
    registered: ModelVersion
    engine: Engine
    explainer: Explainer
    percentile_cuts: NDArray[np.float64]
    loaded_at: datetime

    @property
    def version(self) -> int:
        """Its number in the registry."""
        return self.registered.version


def prepare(registry: Registry, registered: ModelVersion) -> Served:
    """Load a version and make it ready to answer.

    Raises ArtifactRejected where its bytes are not the recorded ones, its reference cannot be read, it gives the
    reference other scores than are recorded there, or it cannot be explained; and RegistryUnavailable.
    """
    model = registry.load(registered.version)
    reference = registry.load_reference(registered.version)
    rows, recorded = model.encoder.encode(reference), reference[SCORE_COLUMN].to_numpy(np.float64)
    engine = fastest_engine(model, np.vstack([rows, blank_randomly(rows, _SEED)]))
    if (fault := fault_of(engine.probabilities(rows), recorded)) is not None:
        raise _rejected(registered, fault)
    explainer, cuts = _explainer(registered, model, rows), percentile_cuts(recorded)
    return Served(model, registered, engine, explainer, cuts, datetime.now(UTC))


def percentile_cuts(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest probability (99,) of each hundredth from the second on, as the night cuts a run."""
    return np.sort(probabilities)[np.arange(1, 100) * len(probabilities) // 100]


def _explainer(registered: ModelVersion, model: ChurnModel, reference: Matrix) -> Explainer:
    try:
        explainer = contributions_of(model, reference)
    except CannotCompile as error:
        raise _rejected(registered, f"it cannot be explained: {error}") from error
    explainer.contributions(reference[:1])  # compiled now, not in the first request
    explainer.of_one(reference[:1])
    return explainer


def _rejected(registered: ModelVersion, why: str) -> ArtifactRejected:
    return ArtifactRejected(
        f"Version {registered.version} failed its smoke test: {why}.", "Promote another version, or train again."
    )
