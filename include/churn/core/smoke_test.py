"""Whether a loaded model is the one that was registered: asked about its own reference, it must know the scores."""

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-9  # of a probability: other processors round the last bits otherwise


def fault_of(answered: NDArray[np.float64], recorded: NDArray[np.float64]) -> str | None:
    """What is wrong with the answers (n,) to a reference whose scores (n,) were recorded with it; None: nothing."""
    if not len(answered):
        return "its reference has no row"
    if not (np.isfinite(answered) & (answered >= 0) & (answered <= 1)).all():
        return "it gives its own reference something that is no probability"
    if not np.allclose(answered, recorded, rtol=0, atol=TOLERANCE):
        return "it gives its own reference other scores than were recorded"
    return None
