"""How much each feature moves a customer's score: exact Shapley values of the model itself.

Trees: path-dependent TreeSHAP (Lundberg et al., Nature Machine Intelligence 2020), in the model's raw scale: log
odds of leaving for LightGBM and XGBoost, probability for a random forest. Where every tree is small, the
contributions of its features are worked out once for every pattern of its splits' answers, and a row needs
lookups only (Fast TreeSHAP v2, Yang 2021). Logistic regression: Linear SHAP with independent features (Lundberg
and Lee, NeurIPS 2017), in log odds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from churn.core.coded_forest import Edges, Paths, grid_of, small_splits_of, walk_splits_of
from churn.core.engines import LARGEST_TABLE, as_kernel_input
from churn.core.features import Matrix
from churn.core.forest import CannotCompile, Forest, forest_of
from churn.core.linear_inputs import fast_transform
from churn.core.model import ChurnModel

SMALLEST_SHARE = 1e-30  # stands for 0, by which the kernels could not divide


Contribute = Callable[[Matrix], NDArray[np.float64]]


@dataclass(frozen=True)
class Explainer:
    """What moves one model's scores.

    `contributions` takes an encoded (n, features) matrix and gives (n, features) float64 in the model's raw scale,
    positive towards leaving; a row gets the same bits whatever rows are around it. A row's contributions add up
    to its raw score less `expected`, the mean raw score over the training rows (trees) or the background (logistic).
    `of_one` is the same for one row alone, where large trees take a shorter way: equal but for last bits.
    `is_fast`: a million rows take seconds, so everyone can be explained; else explain only whom someone contacts.
    Raises ValueError where a matrix has not the model's features. Safe to call from several threads.
    """

    contributions: Contribute
    of_one: Contribute
    expected: float
    is_fast: bool


@dataclass(frozen=True)
class _Step:
    """All splits on one feature on the way to a leaf: the nodes, which of them go right, the share that passes."""

    nodes: tuple[int, ...] = ()
    goes_right: tuple[bool, ...] = ()
    share: float = 1.0


_Path = dict[int, _Step]  # by feature


def contributions_of(model: ChurnModel, background: Matrix) -> Explainer:
    """Prepare to explain a model.

    `background` (n, features) are encoded customers whom a logistic model is compared with; trees carry their
    own: how many training rows went through each node. Raises CannotCompile for trees that cannot be read
    (see forest_of) or do not say how many rows they were trained on, and ValueError for an empty background.
    """
    if model.kind == "logistic":
        return _explain_logistic(model.estimator, background)
    forest = forest_of(model)
    if not (forest.cover[forest.left >= 0] > 0).all():
        raise CannotCompile("a split of the model does not say how many training rows it saw")
    paths = _leaf_paths(forest)
    is_small = forest.largest_split_count <= LARGEST_TABLE
    contributions = (_by_tables if is_small else _by_paths)(forest, paths)
    of_one = contributions if is_small else _by_walking(forest)
    expected = sum(forest.value[leaf] * np.prod([s.share for s in path.values()]) for leaf, path in paths.items())
    return Explainer(
        lambda matrix: contributions(as_kernel_input(matrix, forest.feature_count)),
        lambda matrix: of_one(as_kernel_input(matrix, forest.feature_count)),
        float(_raw_scale(forest) * expected + forest.base),
        is_small,
    )


def _raw_scale(forest: Forest) -> float:
    return 1.0 / forest.scale if forest.link == "mean" else 1.0


def _leaf_paths(forest: Forest) -> dict[int, _Path]:
    """The way to each leaf, by node position, in the order of trees."""
    paths: dict[int, _Path] = {int(root): {} for root in forest.starts[:-1]}
    leaves: dict[int, _Path] = {}
    for node, left in enumerate(forest.left.tolist()):  # a parent comes before its children
        path = paths.pop(node)
        if left < 0:
            leaves[node] = path
            continue
        feature = int(forest.feature[node])
        before = path.get(feature, _Step())
        for child, right in ((left, False), (left + 1, True)):
            share = max(before.share * float(forest.cover[child] / forest.cover[node]), SMALLEST_SHARE)
            step = _Step((*before.nodes, node), (*before.goes_right, right), share)
            paths[child] = {**path, feature: step}
    return leaves


@cache
def _quadrature(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss-Legendre points and weights on 0..1 that are exact for the products of `count` features."""
    points, weights = np.polynomial.legendre.leggauss(max((count + 1) // 2, 1))
    points, weights = (points + 1) / 2, weights / 2
    points.flags.writeable = weights.flags.writeable = False  # every leaf and every model has the same
    return points, weights


def _by_tables(forest: Forest, paths: dict[int, _Path]) -> Callable[[Matrix], NDArray[np.float64]]:
    from churn.core import forest_kernels as kernels

    grid, places = grid_of(forest)
    splits = small_splits_of(forest, places)
    features, tables = _contribution_tables(forest, paths)
    return lambda matrix: kernels.explain_by_tables(matrix, grid, splits, features, tables)


def _contribution_tables(forest: Forest, paths: dict[int, _Path]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The features of each tree (trees, places; -1: none) and what they get (trees, places, patterns)."""
    tree_of, bits = forest.tree_of_node, forest.bit_of_node
    places: list[dict[int, int]] = [{} for _ in range(forest.tree_count)]
    for leaf, path in paths.items():
        for feature in path:
            places[tree_of[leaf]].setdefault(feature, len(places[tree_of[leaf]]))
    width = max(len(of_tree) for of_tree in places)
    features = np.full((forest.tree_count, width), -1, np.int64)
    for tree, of_tree in enumerate(places):
        features[tree, : len(of_tree)] = list(of_tree)
    patterns = np.arange(1 << forest.largest_split_count)
    tables = np.zeros((forest.tree_count, width, len(patterns)))
    for leaf, path in paths.items():
        if path:  # a tree that is one leaf moves nobody
            tree = tree_of[leaf]
            passes = np.array([_passes(step, bits, patterns) for step in path.values()])
            shares = np.array([step.share for step in path.values()])
            value = _raw_scale(forest) * forest.value[leaf]
            tables[tree, [places[tree][f] for f in path]] += value * _leaf_contributions(passes, shares)
    return features, tables


def _passes(step: _Step, bits: NDArray[np.integer], patterns: NDArray[np.integer]) -> NDArray[np.bool_]:
    answers = [(patterns >> bits[node] & 1) == right for node, right in zip(step.nodes, step.goes_right, strict=True)]
    return np.logical_and.reduce(answers)


def _leaf_contributions(passes: NDArray[np.bool_], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Contributions (m, patterns) of the m features of a leaf of value 1; forest_kernels has the formula."""
    points, weights = _quadrature(len(shares))
    t, z, o = points[:, None, None], shares[:, None], passes.astype(float)
    factors = z * (1 - t) + o * t  # (points, m, patterns)
    products = weights[:, None, None] * factors.prod(axis=1, keepdims=True)
    return ((o - z) * products / factors).sum(axis=0)


def _by_paths(forest: Forest, paths: dict[int, _Path]) -> Callable[[Matrix], NDArray[np.float64]]:
    from churn.core import forest_kernels as kernels

    grid, places = grid_of(forest)
    longest = max(len(path) for path in paths.values())
    compiled = _compile_paths(forest, paths, places, longest)
    return lambda matrix: kernels.explain_by_paths(matrix, grid, compiled, longest)


def _by_walking(forest: Forest) -> Contribute:
    from churn.core import forest_kernels as kernels

    grid, places = grid_of(forest)
    splits, _ = walk_splits_of(forest, places)
    edges = _edges(forest)
    values = _raw_scale(forest) * forest.value
    return lambda matrix: kernels.explain_by_walking(matrix, grid, splits, edges, values)


def _edges(forest: Forest) -> Edges:
    count = len(forest.left)
    parent, before = np.full((2, count), -1, np.int64)
    is_right, share = np.zeros(count, np.bool_), np.ones(count)
    last: dict[int, dict[int, int]] = {int(root): {} for root in forest.starts[:-1]}  # by node: by feature, its node
    longest = 1
    for node, left in enumerate(forest.left.tolist()):  # a parent comes before its children
        known = last.pop(node)
        longest = max(longest, len(known))
        if left < 0:
            continue
        feature = int(forest.feature[node])
        earlier = known.get(feature, -1)
        passed = share[earlier] if earlier >= 0 else 1.0
        for child in (left, left + 1):
            parent[child], before[child], is_right[child] = node, earlier, child > left
            share[child] = max(passed * float(forest.cover[child] / forest.cover[node]), SMALLEST_SHARE)
            last[child] = {**known, feature: child}
    return Edges(parent, before, is_right, forest.left < 0, share, *_quadrature(longest))


def _compile_paths(forest: Forest, paths: dict[int, _Path], places: NDArray[np.int64], longest: int) -> Paths:
    steps = [step for path in paths.values() for step in path.values()]
    intervals = [_interval(step, places, forest.unknown_left) for step in steps]
    points, weights = np.zeros((2, longest + 1, (longest + 1) // 2))
    for count in range(1, longest + 1):
        points[count, : (count + 1) // 2], weights[count, : (count + 1) // 2] = _quadrature(count)
    return Paths(
        np.cumsum([0, *(len(path) for path in paths.values())]),
        np.array([feature for path in paths.values() for feature in path], np.int64),
        np.array([low for low, _, _ in intervals], np.uint32),
        np.array([high for _, high, _ in intervals], np.uint32),
        np.array([unknown for _, _, unknown in intervals], np.uint8),
        np.array([step.share for step in steps]),
        _raw_scale(forest) * forest.value[list(paths)],
        points,
        weights,
    )


def _interval(step: _Step, places: NDArray[np.int64], unknown_left: NDArray[np.bool_]) -> tuple[int, int, bool]:
    """The codes low < code <= high that pass all splits of a step, and whether an unknown passes them."""
    low, high, unknown = 0, int(np.iinfo(np.uint32).max), True
    for node, right in zip(step.nodes, step.goes_right, strict=True):
        bound = int(places[node]) + 1
        low, high = (max(low, bound), high) if right else (low, min(high, bound))
        unknown = unknown and bool(unknown_left[node]) != right
    return low, high, unknown


def _explain_logistic(pipeline: Any, background: Matrix) -> Explainer:
    if not len(background):
        raise ValueError("a logistic model can be explained only against some background rows")
    transform, regression = fast_transform(pipeline[0], background), pipeline[-1]
    coefficients = regression.coef_[0]
    means = transform(background).mean(axis=0)
    owners = _input_owners(pipeline[0])

    def contributions(matrix: Matrix) -> NDArray[np.float64]:
        moved = np.zeros((matrix.shape[1], len(matrix)))
        if len(matrix):  # scikit-learn refuses an empty matrix
            for position, column in enumerate(transform(matrix).T):
                moved[owners[position]] += coefficients[position] * (column - means[position])
        return np.ascontiguousarray(moved.T)

    feature_count = background.shape[1]

    def checked(matrix: Matrix) -> NDArray[np.float64]:
        return contributions(as_kernel_input(matrix, feature_count))

    return Explainer(
        checked,
        checked,
        float(regression.intercept_[0] + coefficients @ means),
        True,
    )


def _input_owners(inputs: Any) -> NDArray[np.int64]:
    """The feature that each input of the regression comes from: see candidates.logistic_inputs."""
    (_, one_hot, categories), (_, standardised, numbers) = inputs.transformers_[:2]
    imputer = standardised[0]
    from_categories = np.repeat(categories, [len(known) for known in one_hot.categories_])
    # A number that was unknown throughout the training is not among the inputs; its flag is.
    from_numbers = np.array(numbers)[~np.isnan(imputer.statistics_)]
    return np.concatenate([from_categories, from_numbers, np.array(numbers)[imputer.indicator_.features_]])
