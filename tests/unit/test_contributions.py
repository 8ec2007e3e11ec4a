"""Contributions are the Shapley values of the model itself: held against the libraries and against brute force."""

import itertools
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

from churn.core.calibration import Calibration
from churn.core.candidates import Kind, blank_randomly
from churn.core.contributions import Explainer, contributions_of
from churn.core.engines import CannotCompile
from churn.core.features import FeatureEncoder, Matrix
from churn.core.model import ChurnModel
from churn.core.training import TrainingData, fit_model
from churn.policy import Policy
from churn.simulator import simulate

CUSTOMERS = next(simulate(1_500, seed=3))
DATA = TrainingData.from_extract(CUSTOMERS, date(2026, 11, 1), "0" * 64)
ENCODER = FeatureEncoder.from_contract()
MATRIX = ENCODER.encode(CUSTOMERS)
ROWS = np.vstack([MATRIX[:300], blank_randomly(MATRIX[:300], 1), np.full((1, 19), np.nan)])

MODELS: dict[str, tuple[Kind, dict[str, Any], bool]] = {
    "lightgbm": ("lightgbm", {"rounds": 60}, True),
    "lightgbm large": ("lightgbm", {"rounds": 20, "num_leaves": 31}, False),
    "xgboost": ("xgboost", {"rounds": 60}, True),
    "xgboost large": ("xgboost", {"rounds": 20, "max_depth": 6, "min_child_weight": 1.0}, False),
    "forest small": ("random_forest", {"n_estimators": 5, "max_leaf_nodes": 7}, True),
    "forest": ("random_forest", {"n_estimators": 3, "max_depth": 4, "min_samples_leaf": 5}, False),
    "logistic": ("logistic", {}, True),
}


@pytest.fixture(scope="module")
def models() -> dict[str, ChurnModel]:
    return {name: fit_model(kind, DATA, Policy(), parameters) for name, (kind, parameters, _) in MODELS.items()}


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest, models: dict[str, ChurnModel]) -> tuple[ChurnModel, Explainer, bool]:
    model = models[request.param]
    return model, contributions_of(model, MATRIX), MODELS[request.param][2]


def raw_scores(model: ChurnModel, matrix: Matrix) -> np.ndarray:
    probabilities = model.raw_probabilities(matrix)
    if model.kind == "random_forest":
        return probabilities
    if model.kind == "xgboost":  # float32 probabilities would lose digits
        return model.estimator.inplace_predict(matrix, predict_type="margin").astype(np.float64)
    return np.log(probabilities / (1 - probabilities))


def test_contributions_add_up_to_the_raw_score(case: tuple[ChurnModel, Explainer, bool]) -> None:
    model, explainer, _ = case
    contributions = explainer.contributions(ROWS)

    assert contributions.shape == ROWS.shape
    tolerance = 1e-5 if model.kind == "xgboost" else 1e-10
    np.testing.assert_allclose(contributions.sum(axis=1) + explainer.expected, raw_scores(model, ROWS), atol=tolerance)


def test_a_calibrated_model_is_explained_by_its_raw_score(case: tuple[ChurnModel, Explainer, bool]) -> None:
    model, explainer, _ = case
    calibrated = replace(model, calibration=Calibration("platt", 0.5, -1.0))
    contributions = contributions_of(calibrated, MATRIX).contributions(ROWS)

    assert not np.array_equal(calibrated.probabilities(ROWS), model.probabilities(ROWS))
    np.testing.assert_array_equal(contributions, explainer.contributions(ROWS))


def test_small_trees_and_logistic_are_fast_to_explain(case: tuple[ChurnModel, Explainer, bool]) -> None:
    _, explainer, is_fast = case

    assert explainer.is_fast == is_fast


@pytest.mark.parametrize("name", ["lightgbm", "lightgbm large"])
def test_lightgbm_agrees(models: dict[str, ChurnModel], name: str) -> None:
    explainer = contributions_of(models[name], MATRIX)
    expected = models[name].estimator.predict(ROWS, pred_contrib=True)

    np.testing.assert_allclose(explainer.contributions(ROWS), expected[:, :-1], rtol=1e-9, atol=1e-12)
    assert explainer.expected == pytest.approx(expected[0, -1], rel=1e-12)


@pytest.mark.parametrize("name", ["xgboost", "xgboost large"])
def test_xgboost_agrees(models: dict[str, ChurnModel], name: str) -> None:
    explainer = contributions_of(models[name], MATRIX)
    expected = models[name].estimator.predict(xgboost.DMatrix(ROWS, nthread=1), pred_contribs=True)

    # XGBoost answers in float32.
    np.testing.assert_allclose(explainer.contributions(ROWS), expected[:, :-1], rtol=1e-5, atol=2e-6)
    assert explainer.expected == pytest.approx(expected[0, -1], rel=1e-6)


@pytest.mark.parametrize("name", ["forest small", "forest"])
def test_a_forest_agrees_with_brute_force_over_subsets(models: dict[str, ChurnModel], name: str) -> None:
    rows = ROWS[[0, 301, 600]]
    trees = [estimator.tree_ for estimator in models[name].estimator[-1].estimators_]
    expected = np.mean([[brute_force(tree, row) for row in rows] for tree in trees], axis=0)

    contributions = contributions_of(models[name], MATRIX).contributions(rows)

    np.testing.assert_allclose(contributions, expected, rtol=1e-9, atol=1e-12)


def brute_force(tree: Any, row: np.ndarray) -> np.ndarray:
    """Shapley values by their definition: what a feature adds, over every subset of the others."""
    players = sorted({int(feature) for feature in tree.feature if feature >= 0})
    worth = {known: mean_value(tree, row, set(known), 0) for known in subsets(players)}
    values = np.zeros(len(row))
    for player in players:
        for known in subsets([other for other in players if other != player]):
            rest = len(players) - len(known) - 1
            weight = math.factorial(len(known)) * math.factorial(rest) / math.factorial(len(players))
            values[player] += weight * (worth[tuple(sorted((*known, player)))] - worth[known])
    return values


def subsets(players: list[int]) -> Iterator[tuple[int, ...]]:
    return itertools.chain.from_iterable(itertools.combinations(players, size) for size in range(len(players) + 1))


def mean_value(tree: Any, row: np.ndarray, known: set[int], node: int) -> float:
    """The mean over training rows of a tree's answer where only some features of the row are known."""
    if tree.children_left[node] < 0:
        return float(tree.value[node, 0, 1])
    feature, children = int(tree.feature[node]), (int(tree.children_left[node]), int(tree.children_right[node]))
    if feature not in known:
        weights = tree.weighted_n_node_samples[list(children)] / tree.weighted_n_node_samples[node]
        return sum(w * mean_value(tree, row, known, child) for w, child in zip(weights, children, strict=True))
    number = np.float32(row[feature])
    left = bool(tree.missing_go_to_left[node]) if np.isnan(number) else number <= tree.threshold[node]
    return mean_value(tree, row, known, children[0 if left else 1])


def test_both_ways_to_explain_a_forest_agree(models: dict[str, ChurnModel], monkeypatch: pytest.MonkeyPatch) -> None:
    by_tables = contributions_of(models["lightgbm"], MATRIX)
    monkeypatch.setattr("churn.core.contributions.LARGEST_TABLE", 0)
    by_paths = contributions_of(models["lightgbm"], MATRIX)

    assert (by_tables.is_fast, by_paths.is_fast) == (True, False)
    np.testing.assert_allclose(by_paths.contributions(ROWS), by_tables.contributions(ROWS), rtol=1e-9, atol=1e-12)


def test_a_logistic_model_is_explained_feature_by_feature(models: dict[str, ChurnModel]) -> None:
    model = models["logistic"]
    explainer = contributions_of(model, MATRIX)
    rows = ROWS[np.isnan(ROWS).sum(axis=1) < 19]
    # In a sum of terms, what changes when one feature changes is that feature's contribution.
    for feature in range(19):
        changed = rows.copy()
        changed[:, feature] = np.roll(rows[:, feature], 1)
        moved = explainer.contributions(changed) - explainer.contributions(rows)
        np.testing.assert_allclose(moved[:, feature], raw_scores(model, changed) - raw_scores(model, rows), atol=1e-9)
        assert not np.delete(moved, feature, axis=1).any()


def test_a_logistic_background_has_no_mean_contribution(models: dict[str, ChurnModel]) -> None:
    explainer = contributions_of(models["logistic"], MATRIX)

    np.testing.assert_allclose(explainer.contributions(MATRIX).mean(axis=0), 0, atol=1e-12)
    assert explainer.expected == pytest.approx(raw_scores(models["logistic"], MATRIX).mean())


def test_a_logistic_model_needs_a_background(models: dict[str, ChurnModel]) -> None:
    with pytest.raises(ValueError, match="background"):
        contributions_of(models["logistic"], MATRIX[:0])


def test_a_row_gets_its_bits_wherever_it_stands(case: tuple[ChurnModel, Explainer, bool]) -> None:
    _, explainer, _ = case
    rows = np.vstack([ROWS, ROWS[:100]])  # more than one block
    expected = explainer.contributions(rows)
    order = np.random.default_rng(0).permutation(len(rows))
    parts = [rows[start : start + 97] for start in range(0, len(rows), 97)]

    np.testing.assert_array_equal(explainer.contributions(rows[order]), expected[order])
    np.testing.assert_array_equal(explainer.contributions(rows[5:6]), expected[5:6])
    with ThreadPoolExecutor(4) as threads:
        np.testing.assert_array_equal(np.vstack(list(threads.map(explainer.contributions, parts))), expected)
    assert explainer.contributions(rows[:0]).shape == (0, 19)


def test_one_row_alone_gets_the_same_but_for_last_bits(case: tuple[ChurnModel, Explainer, bool]) -> None:
    _, explainer, _ = case
    alone = np.vstack([explainer.of_one(ROWS[row : row + 1]) for row in range(len(ROWS))])

    np.testing.assert_allclose(alone, explainer.contributions(ROWS), rtol=1e-9, atol=1e-12)


def test_a_matrix_of_another_shape_is_refused(case: tuple[ChurnModel, Explainer, bool]) -> None:
    for explain in (case[1].contributions, case[1].of_one):
        with pytest.raises(ValueError, match="19 features"):
            explain(MATRIX[:, :-1])


def test_single_leaves_move_nobody() -> None:
    data = lightgbm.Dataset(MATRIX, DATA.labels)
    chosen = {"objective": "binary", "verbosity": -1, "num_threads": 1, "min_child_samples": 10_000}
    model = ChurnModel("lightgbm", ENCODER, lightgbm.train(chosen, data, num_boost_round=3))
    explainer = contributions_of(model, MATRIX)

    assert not explainer.contributions(ROWS).any()
    assert explainer.expected == pytest.approx(raw_scores(model, ROWS)[0])


def test_trees_without_covers_are_refused(models: dict[str, ChurnModel]) -> None:
    text = models["lightgbm"].estimator.model_to_string()
    lines = [
        f"internal_count={' '.join('0' for _ in line.split())}" if line.startswith("internal_count=") else line
        for line in text.splitlines()
    ]
    start = next(i for i, line in enumerate(lines) if line.startswith("tree_sizes="))
    del lines[start]  # the sizes in bytes no longer hold
    bare = ChurnModel("lightgbm", ENCODER, lightgbm.Booster(model_str="\n".join(lines) + "\n"))

    with pytest.raises(CannotCompile, match="training rows"):
        contributions_of(bare, MATRIX)
