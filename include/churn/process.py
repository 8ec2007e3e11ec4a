"""How a process behaves that does one job and ends."""

import atexit
import gc

_ALLOCATIONS_BETWEEN_COLLECTIONS = 100_000  # CPython's own is 700


def tune_for_one_job() -> None:
    """Let the cycle collector run seldom from here on, and not at all when the process ends.

    MLflow, LightGBM and Great Expectations make millions of objects while they are imported and next to no garbage;
    walking over them again and again, and once more at the end, costs a short job more than its own work.
    """
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)
    atexit.register(gc.freeze)
