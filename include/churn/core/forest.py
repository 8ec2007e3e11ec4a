"""The trees of a model as flat arrays, read from each library exactly as that library would use them."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from churn.core.model import ChurnModel

Link = Literal["sigmoid", "float32 sigmoid", "mean"]

LIGHTGBM_MISSING = ("NaN", "None")
LIGHTGBM_INFINITY = 1e300


class CannotCompile(ValueError):
    """A model that the compiled engines do not cover; the message says why. Its own library still serves it."""


@dataclass(frozen=True)
class Tree:
    """One decision tree: arrays over its nodes (m,), node 0 is the root.

    A node with `left` < 0 is a leaf and has a `value`; any other sends a row to `left` where x <= `threshold`,
    and to `right` otherwise. An unknown x (NaN) goes to `left` where `unknown_left`. `cover` is the weight of
    the training rows that reached the node, in the unit in which the library's own TreeSHAP counts them.
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    unknown_left: NDArray[np.bool_]
    value: NDArray[np.float64]
    cover: NDArray[np.float64]


@dataclass(frozen=True)
class Forest:
    """All trees of a model as flat arrays over nodes; the nodes of tree t are starts[t] to starts[t + 1].

    Nodes are in breadth-first order and the children of a node are neighbours: `left` (an index into these
    arrays, negative for a leaf) and left + 1. The other fields are as in Tree.

    A model's answer: cast features to float32 if `is_single`, or take |x| <= 1e-35f for 0.0 if `snaps_zero`; add
    the leaf values in the order of trees to `base`; apply `link`. "sigmoid": float64 sums, then
    1 / (1 + exp(-scale * sum)). "float32 sigmoid": the same in float32. "mean": float64 sums divided by `scale`.
    """

    starts: NDArray[np.int64]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    unknown_left: NDArray[np.bool_]
    value: NDArray[np.float64]
    cover: NDArray[np.float64]
    feature_count: int
    link: Link
    base: float
    scale: float

    @property
    def is_single(self) -> bool:
        """Whether the library sees features as float32; LightGBM alone keeps float64."""
        return self.link != "sigmoid"

    @property
    def snaps_zero(self) -> bool:
        """Whether a number as small as LightGBM's kZeroThreshold is a zero."""
        return self.link == "sigmoid"

    @property
    def tree_count(self) -> int:
        """How many trees there are."""
        return len(self.starts) - 1

    @property
    def split_starts(self) -> NDArray[np.int64]:
        """The positions (trees + 1) at which the trees start where the splits alone are counted."""
        return np.cumsum(np.append(0, self.left >= 0))[self.starts]

    @property
    def largest_split_count(self) -> int:
        """The number of splits in the tree with most of them."""
        return int(np.diff(self.split_starts).max(initial=0))

    @property
    def tree_of_node(self) -> NDArray[np.int64]:
        """The tree that each node belongs to."""
        return np.repeat(np.arange(self.tree_count), np.diff(self.starts))

    @property
    def bit_of_node(self) -> NDArray[np.int64]:
        """Which split of its tree each split is, from 0 on: its bit in a pattern of answers. 0 for a leaf."""
        is_split = self.left >= 0
        number = np.cumsum(is_split) - 1 - self.split_starts[self.tree_of_node]
        return np.where(is_split, number, 0)


def forest_of(model: ChurnModel) -> Forest:
    """Read the trees of a trained model. Raises CannotCompile where there are none, or of a form not covered."""
    feature_count = len(model.encoder.columns)
    if model.kind == "lightgbm":
        return _from_lightgbm(model.estimator, feature_count)
    if model.kind == "xgboost":
        return _from_xgboost(model.estimator, feature_count)
    if model.kind == "random_forest":
        return _from_random_forest(model.estimator, feature_count)
    raise CannotCompile(f"a {model.kind} model has no trees")


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise CannotCompile(reason)


def _assemble(trees: Sequence[Tree], feature_count: int, link: Link, base: float, scale: float) -> Forest:
    _require(bool(trees), "the model has no trees")
    ordered = [_breadth_first(tree) for tree in trees]
    starts = np.cumsum([0, *(len(tree.left) for tree in ordered)])
    left = [np.where(tree.left < 0, -1, tree.left + start) for tree, start in zip(ordered, starts[:-1], strict=True)]
    forest = Forest(
        starts.astype(np.int64),
        np.concatenate([tree.feature for tree in ordered]).astype(np.int32),
        np.concatenate([tree.threshold for tree in ordered]),
        np.concatenate(left).astype(np.int32),
        np.concatenate([tree.unknown_left for tree in ordered]),
        np.concatenate([tree.value for tree in ordered]),
        np.concatenate([tree.cover for tree in ordered]),
        feature_count,
        link,
        base,
        scale,
    )
    splits = forest.left >= 0
    _require(int(forest.feature[splits].max(initial=0)) < feature_count, "a split asks for a feature not encoded")
    _require(not np.isnan(forest.threshold[splits]).any(), "a split has no threshold")
    _require(bool(np.isfinite(forest.value[~splits]).all()), "a leaf has no finite value")
    return forest


def _breadth_first(tree: Tree) -> Tree:
    level, order = np.array([0]), [np.array([0])]
    while len(level := level[tree.left[level] >= 0]):
        level = np.column_stack([tree.left[level], tree.right[level]]).ravel()
        order.append(level)
    nodes = np.concatenate(order)
    is_split = tree.left[nodes] >= 0
    left = np.where(is_split, 2 * np.cumsum(is_split) - 1, -1).astype(np.int32)  # the k-th split: 2k + 1, 2k + 2
    return Tree(
        np.where(is_split, tree.feature[nodes], 0).astype(np.int32),
        tree.threshold[nodes],
        left,
        (left + is_split).astype(np.int32),
        tree.unknown_left[nodes],
        tree.value[nodes],
        tree.cover[nodes],
    )


def _from_lightgbm(booster: Any, feature_count: int) -> Forest:
    """LightGBM 4: float64 throughout. Its TreeSHAP counts rows (`data_count`), not their weight."""
    dumped = booster.dump_model()
    name, *parameters = dumped["objective"].split()
    _require(name == "binary", f"LightGBM's objective {name} is not binary")
    _require(dumped["num_tree_per_iteration"] == 1, "LightGBM's model has more than one class")
    _require(not dumped["average_output"], "LightGBM's model averages its trees")
    known = dict(parameter.split(":") for parameter in parameters)
    _require(set(known) == {"sigmoid"}, f"LightGBM's objective has parameters {parameters}")
    trees = [_lightgbm_tree(tree["tree_structure"]) for tree in dumped["tree_info"]]
    return _assemble(trees, feature_count, "sigmoid", 0.0, float(known["sigmoid"]))


def _lightgbm_tree(root: dict[str, Any]) -> Tree:
    nodes, left = [root], []
    for node in nodes:  # grows while it is read
        _require("leaf_const" not in node, "LightGBM's model has linear trees")
        left.append(len(nodes) if "split_feature" in node else -1)
        if "split_feature" in node:
            nodes += [node["left_child"], node["right_child"]]
    lefts = np.array(left)
    return Tree(
        np.array([node.get("split_feature", 0) for node in nodes]),
        np.array([_lightgbm_threshold(node) for node in nodes]),
        lefts,
        lefts + 1,
        np.array([_lightgbm_unknown_left(node) for node in nodes]),
        np.array([float(node.get("leaf_value", 0.0)) for node in nodes]),
        np.array([float(node.get("internal_count", node.get("leaf_count", 0))) for node in nodes]),
    )


def _lightgbm_threshold(node: dict[str, Any]) -> float:
    if "split_feature" not in node:
        return 0.0
    _require(node["decision_type"] == "<=", f"LightGBM's model has splits of type {node['decision_type']}")
    threshold = float(node["threshold"])
    # A split of known from unknown has threshold infinity, which dump_model writes as 1e300.
    return math.copysign(math.inf, threshold) if abs(threshold) >= LIGHTGBM_INFINITY else threshold


def _lightgbm_unknown_left(node: dict[str, Any]) -> bool:
    if "split_feature" not in node:
        return False
    missing = node["missing_type"]
    _require(missing in LIGHTGBM_MISSING, f"LightGBM's model takes {missing} for missing")
    # A feature that was never missing in training: NaN counts as 0.0.
    return bool(node["default_left"]) if missing == "NaN" else float(node["threshold"]) >= 0.0


def _from_xgboost(booster: Any, feature_count: int) -> Forest:
    """XGBoost 3: float32 throughout, `x < threshold` goes left. Its TreeSHAP weighs by the sum of hessians."""
    learner = json.loads(bytes(booster.save_raw(raw_format="json")))["learner"]
    objective, form = learner["objective"]["name"], learner["gradient_booster"]["name"]
    _require(objective == "binary:logistic", f"XGBoost's objective {objective} is not binary:logistic")
    _require(form == "gbtree", f"XGBoost's booster {form} is not gbtree")
    model = learner["gradient_booster"]["model"]
    _require(not any(model["tree_info"]), "XGBoost's model has more than one class")
    score = json.loads(learner["learner_model_param"]["base_score"])
    scores = score if isinstance(score, list) else [score]
    _require(len(scores) == 1, "XGBoost's model has more than one base score")
    odds = np.float32(1.0) / np.float32(scores[0]) - np.float32(1.0)
    # Rounded from float64 this is glibc's logf; numpy's own float32 log can differ in the last bit.
    base = float(np.float32(-math.log(odds)))
    return _assemble([_xgboost_tree(tree) for tree in model["trees"]], feature_count, "float32 sigmoid", base, 1.0)


def _xgboost_tree(tree: dict[str, Any]) -> Tree:
    _require(not any(tree["split_type"]), "XGBoost's model has categorical splits")
    _require(int(tree["tree_param"]["size_leaf_vector"]) <= 1, "XGBoost's model has more than one output")
    conditions = np.array(tree["split_conditions"], np.float32)
    left = np.array(tree["left_children"])
    return Tree(
        np.array(tree["split_indices"]),
        # For float32 numbers x < t is x <= the next one below t.
        np.nextafter(conditions, np.float32(-np.inf)).astype(np.float64),
        left,
        np.array(tree["right_children"]),
        np.array(tree["default_left"], bool),
        np.where(left < 0, conditions, np.float32(0.0)).astype(np.float64),
        np.array(tree["sum_hessian"], np.float64),
    )


def _from_random_forest(pipeline: Any, feature_count: int) -> Forest:
    """scikit-learn: float32 features against float64 thresholds, float64 sums of class fractions."""
    _require(len(pipeline) == 1, "the forest's pipeline transforms its input")
    forest = pipeline[-1]
    _require(forest.n_outputs_ == 1, "the forest has more than one output")
    _require(list(forest.classes_) == [0, 1], f"the forest's classes are {list(forest.classes_)}, not 0 and 1")
    trees = [_sklearn_tree(estimator.tree_) for estimator in forest.estimators_]
    return _assemble(trees, feature_count, "mean", 0.0, float(len(trees)))


def _sklearn_tree(tree: Any) -> Tree:
    return Tree(
        tree.feature,
        tree.threshold,
        tree.children_left,
        tree.children_right,
        tree.missing_go_to_left.astype(bool),
        tree.value[:, 0, 1],
        tree.weighted_n_node_samples,
    )
