"""The inputs of a logistic model without scikit-learn's transformers: the same bits, in microseconds for one row.

The fitted transformers (candidates.logistic_inputs) check and copy for milliseconds whatever the number of rows. What
they reckon is the same few operations on single numbers: nothing is summed, so no bit depends on other rows.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from churn.core.features import Matrix

Transform = Callable[[Matrix], Matrix]


def fast_transform(inputs: Any, rows: Matrix) -> Transform:
    """What the fitted transformers `inputs` do to an encoded (n, features) matrix: (n, inputs) float64.

    Proven on `rows` (n > 0): where they do not give the same bits there, the transformers themselves are returned.
    """
    if not len(rows):
        return _as_it_is(inputs)
    transform = _in_numpy(inputs)
    return transform if np.array_equal(transform(rows), inputs.transform(rows)) else _as_it_is(inputs)


def _as_it_is(inputs: Any) -> Transform:
    transform: Transform = inputs.transform
    return transform


def _in_numpy(inputs: Any) -> Transform:
    (_, one_hot, categories), (_, standardised, numbers) = inputs.transformers_[:2]
    imputer, scaler = standardised
    positions = np.repeat(categories, [len(known) for known in one_hot.categories_])
    wanted = np.concatenate(one_hot.categories_)
    numbers = np.array(numbers)
    known_once = ~np.isnan(imputer.statistics_)  # a number that was unknown throughout the training is no input
    medians = imputer.statistics_[known_once]
    kept, flagged = numbers[known_once], numbers[imputer.indicator_.features_]

    def transform(matrix: Matrix) -> Matrix:
        known = matrix[:, kept]
        imputed = np.where(np.isnan(known), medians, known)
        amounts = np.concatenate([imputed, np.isnan(matrix[:, flagged])], axis=1)
        scaled = (amounts - scaler.mean_) / scaler.scale_
        return np.concatenate([matrix[:, positions] == wanted, scaled], axis=1)

    return transform
