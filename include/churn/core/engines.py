"""Two ways to ask one model: its own library, and the same trees compiled; and the proof that they agree."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from churn.core.coded_forest import bit_vectors_of, grid_of, small_splits_of, truth_tables, walk_splits_of
from churn.core.features import Matrix
from churn.core.forest import CannotCompile, Forest, forest_of
from churn.core.linear_inputs import fast_transform
from churn.core.model import ChurnModel, logistic_probabilities

__all__ = [
    "CannotCompile", "Engine", "Parity", "compare", "compile_forest", "compiled_engine", "fastest_engine",
    "linear_engine", "reference_engine",
]  # fmt: skip

# Splits of the largest tree. Measured with 300 trees on one thread, million rows/s: 6 leaves 4.5 by tables and 3.8
# by bit vectors; 31 leaves 1.7 by bit vectors and 0.2 by walking.
LARGEST_TABLE = 8
LARGEST_BIT_VECTOR = 63

Predict = Callable[[Matrix], NDArray[np.float64]]


@dataclass(frozen=True)
class Engine:
    """A way to score an encoded matrix.

    `probabilities` takes a (n, features) float64 matrix and gives the (n,) float64 probabilities of leaving. It
    may be called from several threads at once: nothing is shared but the model.
    """

    name: str
    probabilities: Predict


@dataclass(frozen=True)
class Parity:
    """How far two engines agree over `row_count` rows; two NaN are equal.

    `largest_difference` is of probabilities, and NaN where only one of two is.
    """

    row_count: int
    equal_count: int
    largest_difference: float

    @property
    def is_bitwise(self) -> bool:
        """Whether every answer has the same bits; a comparison over no rows proves nothing."""
        return 0 < self.row_count == self.equal_count


def reference_engine(model: ChurnModel) -> Engine:
    """The model's own library: what every other engine is held against."""
    return Engine(model.kind, model.probabilities)


def compiled_engine(model: ChurnModel) -> Engine:
    """The model's trees compiled by numba: "numba tables", "numba bit vectors" or "numba walk" by their size.

    Built to give the library's own bits, calibrated like them; `compare` proves it on rows. Lets go of the GIL
    while it works. The first engine on a machine compiles for some seconds, later ones read numba's cache. Raises
    CannotCompile for a model without trees or of a form that is not covered, and `probabilities` ValueError where
    a matrix has not the model's features.
    """
    engine = compile_forest(forest_of(model))
    if model.calibration.method == "none":
        return engine
    # numpy and scipy, as in the reference: the bits of a compiled logarithm would have to be proved once more.
    return Engine(engine.name, lambda matrix: model.calibration.apply(engine.probabilities(matrix)))


def compile_forest(forest: Forest) -> Engine:
    """The engine of a forest that has been read already: what the trees answer, before any calibration."""
    if forest.largest_split_count <= LARGEST_TABLE:
        return Engine("numba tables", _checked(_tables(forest), forest.feature_count))
    if forest.largest_split_count <= LARGEST_BIT_VECTOR:
        return Engine("numba bit vectors", _checked(_bit_vectors(forest), forest.feature_count))
    return Engine("numba walk", _checked(_walk(forest), forest.feature_count))


def compare(reference: Engine, compiled: Engine, matrix: Matrix) -> Parity:
    """Ask both engines for the same rows."""
    expected, answered = reference.probabilities(matrix), compiled.probabilities(matrix)
    equal = (expected == answered) | (np.isnan(expected) & np.isnan(answered))
    difference = float(np.abs(expected - answered)[~equal].max(initial=0.0))
    return Parity(len(matrix), int(equal.sum()), difference)


def linear_engine(model: ChurnModel, rows: Matrix) -> Engine:
    """A logistic model whose inputs numpy works out, where that gives scikit-learn's bits on `rows`."""
    transform, regression = fast_transform(model.estimator[0], rows), model.estimator[-1]

    def probabilities(matrix: Matrix) -> NDArray[np.float64]:
        inputs = transform(as_kernel_input(matrix, len(model.encoder.columns)))
        return model.calibration.apply(logistic_probabilities(regression, inputs))

    return Engine("numpy linear", probabilities)


def fastest_engine(model: ChurnModel, rows: Matrix) -> Engine:
    """The engine that is fastest for one row and gives the library's own bits on every one of `rows`.

    The library itself where there is no such engine.
    """
    reference = reference_engine(model)
    try:
        compiled = linear_engine(model, rows) if model.kind == "logistic" else compiled_engine(model)
    except CannotCompile:
        return reference
    return compiled if compare(reference, compiled, rows).is_bitwise else reference


def _tables(forest: Forest) -> Predict:
    from churn.core import forest_kernels as kernels

    grid, places = grid_of(forest)
    splits = small_splits_of(forest, places)
    tables = _leaf_values(forest)[truth_tables(forest)]
    base = tables.dtype.type(forest.base)
    link = _link(forest)
    return lambda matrix: link(kernels.sum_by_tables(matrix, grid, splits, tables, base))


def _bit_vectors(forest: Forest) -> Predict:
    from churn.core import forest_kernels as kernels

    grid, places = grid_of(forest)
    splits, vectors = small_splits_of(forest, places), bit_vectors_of(forest)
    leaves = _leaf_values(forest)[vectors.nodes]
    base = leaves.dtype.type(forest.base)
    link = _link(forest)
    return lambda matrix: link(kernels.sum_by_bit_vectors(matrix, grid, splits, vectors, leaves, base))


def _walk(forest: Forest) -> Predict:
    from churn.core import forest_kernels as kernels

    grid, places = grid_of(forest)
    splits, left = walk_splits_of(forest, places)
    values = _leaf_values(forest)
    base = values.dtype.type(forest.base)
    link = _link(forest)
    return lambda matrix: link(kernels.sum_by_walking(matrix, grid, splits, left, values, base))


def _leaf_values(forest: Forest) -> NDArray[Any]:
    return forest.value.astype(np.float32) if forest.link == "float32 sigmoid" else forest.value


def _link(forest: Forest) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    from churn.core import forest_kernels as kernels

    if forest.link == "mean":
        return lambda sums: sums / forest.scale
    if forest.link == "float32 sigmoid":
        return kernels.sigmoid_single
    return lambda sums: kernels.sigmoid(sums, forest.scale)


def _checked(predict: Predict, feature_count: int) -> Predict:
    """Danger: the kernels trust their indices, so a matrix of another shape would read foreign memory."""

    def checked(matrix: Matrix) -> NDArray[np.float64]:
        return predict(as_kernel_input(matrix, feature_count))

    return checked


def as_kernel_input(matrix: Matrix, feature_count: int) -> Matrix:
    """The matrix as C-ordered float64. Raises ValueError where it has not `feature_count` columns."""
    if matrix.ndim != 2 or matrix.shape[1] != feature_count:
        raise ValueError(f"the matrix has shape {matrix.shape}, the model has {feature_count} features")
    return np.ascontiguousarray(matrix, np.float64)
