"""What a promotion by a person and a rollback share: a version that is sound, and a wish that is done once."""

import numpy as np

from churn.core.model import ChurnModel
from churn.core.training import SCORE_COLUMN
from churn.db import promotions
from churn.errors import ArtifactRejected
from churn.services import Services


def load_sound(services: Services, model_version: int, digest: str) -> ChurnModel:
    """Load a version that has the digest which was approved, and gives its own reference the same probabilities.

    Raises ArtifactRejected where it has not, or does not.
    """
    model = services.registry.load(model_version, digest)
    reference = services.registry.load_reference(model_version)
    if not np.array_equal(model.predict(reference), reference[SCORE_COLUMN].to_numpy()):
        raise ArtifactRejected(
            f"Version {model_version} does not give its own reference the probabilities that it gave when it was made.",
            "Do not use this version: retrain, or choose another approved one.",
        )
    return model


def finish(services: Services, request: str | None) -> promotions.Entry | None:
    """What was done under this request before, or None: a task that runs again must not act again.

    An attempt that died after its entry in the ledger has its alias moved now, unless someone has moved it since.
    """
    if request is None:
        return None
    with services.database.transaction() as connection:
        done = promotions.requested_act(connection, request)
    if done is not None and done.moves_production and done.is_last:
        services.registry.promote(done.model_version)
    return done
