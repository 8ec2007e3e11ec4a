"""Which rows a model may learn from, and which only judge it."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from churn.policy import Policy

SALT = "churn holdout 1"  # another salt would be another holdout: versions could no longer be compared

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


def in_holdout(customer_ids: Iterable[str], policy: Policy) -> NDArray[np.bool_]:
    """Whether each customer belongs to the share `policy.holdout_rate` that no version is ever trained on.

    It depends on the id alone, so every version is judged on customers that no version has seen.
    """
    limit = int(policy.holdout_rate * 2**64)
    return np.fromiter((_position(customer_id) < limit for customer_id in customer_ids), np.bool_)


def _position(customer_id: str) -> int:
    """A place in 0..2**64 that is uniform over ids and the same for ever."""
    return int.from_bytes(hashlib.sha256(f"{SALT}:{customer_id}".encode()).digest()[:8])


def stratified_folds(labels: NDArray[np.integer], policy: Policy) -> list[Fold]:
    """`policy.fold_count` pairs of (training, judging) positions, each with the same share of churners."""
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(policy.fold_count, shuffle=True, random_state=policy.seed)
    return list(folds.split(np.zeros(len(labels)), labels))
