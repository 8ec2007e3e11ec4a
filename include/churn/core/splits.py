"""Which rows a model may learn from, and which only judge it."""

import hashlib
from collections.abc import Iterable
from typing import Any

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


def groups_of(customer_ids: NDArray[np.object_], matrix: NDArray[np.float64]) -> NDArray[np.intp]:
    """The group (n,) of each row: rows of one customer, and rows with the same features, belong together.

    `matrix` (n, k) holds the encoded features, NaN for unknown. Groups are the connected components of "same customer"
    or "same features to the bit", numbered from 0 in the order in which they first appear.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    row_count = len(customer_ids)
    if not row_count:
        return np.zeros(0, np.intp)
    customer_count, customers = _numbered(customer_ids)
    vector_count, vectors = _numbered(feature_bytes(matrix))
    ends = np.concatenate((row_count + customers, row_count + customer_count + vectors))
    starts = np.tile(np.arange(row_count), 2)
    node_count = row_count + customer_count + vector_count
    graph = coo_array((np.ones(len(ends), np.int8), (starts, ends)), shape=(node_count, node_count))
    groups: NDArray[np.intp] = connected_components(graph, directed=False)[1][:row_count].astype(np.intp)
    return groups


def feature_bytes(matrix: NDArray[np.float64]) -> NDArray[np.void]:
    """The features (n, k) of each row as one value (n,) that can be compared and sorted; every NaN is the same."""
    rows = np.ascontiguousarray(np.where(np.isnan(matrix), np.nan, matrix))
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))[:, 0]


def repeats(matrix: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each row (n,) of encoded features occurs, to the bit, among the other rows."""
    _, numbers = _numbered(np.concatenate((feature_bytes(matrix), feature_bytes(others))))
    return np.isin(numbers[: len(matrix)], numbers[len(matrix) :])


def grouped_folds(labels: NDArray[np.integer], groups: NDArray[np.integer], fold_count: int, seed: int) -> list[Fold]:
    """`fold_count` pairs of (training, judging) positions; rows (n,) of one group stay on one side.

    The groups are stratified by the label that most of their rows have (a churner's where it is half of them), so each
    fold has about the same share of churners. Raises ValueError where there are fewer groups than folds.
    """
    from sklearn.model_selection import StratifiedKFold

    count, members = _numbered(groups)
    churners = np.bincount(members, weights=labels, minlength=count)
    group_labels = 2 * churners >= np.bincount(members, minlength=count)
    folds = StratifiedKFold(fold_count, shuffle=True, random_state=seed)
    fold_of_group = np.empty(count, np.intp)
    for number, (_, judging) in enumerate(folds.split(np.zeros(count), group_labels)):
        fold_of_group[judging] = number
    fold_of_row = fold_of_group[members]
    return [(np.flatnonzero(fold_of_row != i), np.flatnonzero(fold_of_row == i)) for i in range(fold_count)]


def _numbered(values: NDArray[Any]) -> tuple[int, NDArray[np.intp]]:
    """How many values differ, and for each its number among them."""
    distinct, numbers = np.unique(values, return_inverse=True)
    return len(distinct), numbers
