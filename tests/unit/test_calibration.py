"""A calibration rises, survives its file to the bit, treats a score alike in any company, and believes no noise."""

import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from churn.core.calibration import (
    METHODS,
    Calibration,
    Method,
    choose_calibration,
    fit_calibration,
    held_out_losses,
    log_odds,
)

Pair = tuple[np.ndarray, np.ndarray]


def honest(count: int, seed: int = 0) -> Pair:
    """Labels that come true as often as their scores say."""
    random = np.random.default_rng(seed)
    scores = expit(random.normal(-1.0, 1.5, count))
    return (random.random(count) < scores).astype(int), scores


def boastful(count: int, seed: int = 0) -> Pair:
    """Scores twice as sure of themselves, in log odds, as they may be: Platt's own case."""
    labels, scores = honest(count, seed)
    return labels, expit(2 * log_odds(scores) + 0.8)


def stepped(count: int, seed: int = 0) -> Pair:
    """Two kinds of customers behind a score that rises evenly: what no logistic line can follow."""
    random = np.random.default_rng(seed)
    scores = random.random(count)
    return (random.random(count) < np.where(scores < 0.7, 0.1, 0.8)).astype(int), scores


def fitted(method: Method) -> Calibration:
    return fit_calibration(method, *boastful(3_000))


@pytest.mark.parametrize("seed", range(5))
def test_honest_scores_are_left_alone(seed: int) -> None:
    assert choose_calibration(*honest(4_000, seed)) == Calibration.none()


@pytest.mark.parametrize("seed", range(5))
def test_boastful_scores_get_platt_which_brings_them_back(seed: int) -> None:
    labels, scores = boastful(4_000, seed)
    calibration = choose_calibration(labels, scores)

    assert calibration.method == "platt"
    assert calibration.slope == pytest.approx(0.5, abs=0.05)
    assert calibration.intercept == pytest.approx(-0.4, abs=0.1)
    fresh_labels, fresh = boastful(20_000, seed + 100)
    assert log_loss(fresh_labels, calibration.apply(fresh)) < log_loss(fresh_labels, fresh) - 0.02


@pytest.mark.parametrize("seed", range(5))
def test_a_step_gets_isotonic(seed: int) -> None:
    calibration = choose_calibration(*stepped(4_000, seed))

    assert calibration.method == "isotonic"
    assert calibration.apply(np.array([0.3, 0.9])) == pytest.approx([0.1, 0.8], abs=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_a_few_customers_are_no_reason_for_isotonic(seed: int) -> None:
    assert choose_calibration(*boastful(300, seed)).method != "isotonic"


def test_the_choice_is_made_on_what_was_not_fitted() -> None:
    labels, scores = honest(200)
    seen = {method: log_loss(labels, fit_calibration(method, labels, scores).apply(scores)) for method in METHODS}
    unseen = {method: losses.mean() for method, losses in held_out_losses(labels, scores).items()}

    assert min(seen, key=seen.__getitem__) == "isotonic"
    assert min(unseen, key=unseen.__getitem__) != "isotonic"
    assert unseen["none"] == pytest.approx(log_loss(labels, scores), rel=1e-12)
    assert choose_calibration(labels, scores) == choose_calibration(labels, scores)


def test_platt_is_the_logistic_regression_on_platts_targets() -> None:
    labels, scores = boastful(2_000)
    calibration = fit_calibration("platt", labels, scores)
    churners, stayers = labels.sum(), (1 - labels).sum()
    target = np.where(labels == 1, (churners + 1) / (churners + 2), 1 / (stayers + 2))
    twice = np.tile(log_odds(scores), 2)[:, None]
    outcomes, weights = np.repeat([1, 0], 2_000), np.concatenate([target, 1 - target])
    expected = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1_000).fit(twice, outcomes, weights)

    assert calibration.slope == pytest.approx(expected.coef_[0, 0], rel=1e-5)
    assert calibration.intercept == pytest.approx(expected.intercept_[0], rel=1e-5)


def test_scores_that_part_the_classes_give_a_finite_calibration() -> None:
    scores = np.concatenate([np.linspace(0.2, 0.4, 100), np.linspace(0.6, 0.8, 100)])
    labels = (scores > 0.5).astype(int)

    for method in METHODS[1:]:
        probabilities = fit_calibration(method, labels, scores).apply(scores)
        assert 0 < probabilities.min() < probabilities.max() < 1


@pytest.mark.parametrize("method", METHODS)
def test_scores_that_rank_the_wrong_way_round_are_not_turned(method: Method) -> None:
    labels, scores = boastful(2_000)
    calibration = fit_calibration(method, 1 - labels, scores)

    assert (np.diff(calibration.apply(np.linspace(0, 1, 101))) >= 0).all()
    assert fit_calibration("platt", 1 - labels, scores) == Calibration.none()


@pytest.mark.parametrize("method", METHODS)
def test_equal_scores_say_nothing_and_break_nothing(method: Method) -> None:
    labels = np.tile([0, 0, 0, 1], 50)
    calibrated = fit_calibration(method, labels, np.full(200, 0.25)).apply(np.array([0.0, 0.25, 1.0]))

    assert calibrated[1] == pytest.approx(0.25, abs=0.01)
    assert (np.diff(calibrated) >= 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_no_customer_makes_a_certainty(method: Method) -> None:
    probabilities = fitted(method).apply(np.array([1e-300, 1e-9, 0.5, 1 - 1e-9]))

    assert ((probabilities > 0) & (probabilities < 1)).all()


@pytest.mark.parametrize("method", METHODS)
def test_neither_the_order_nor_the_number_of_scores_changes_a_bit(method: Method) -> None:
    calibration = fitted(method)
    knots = np.array(calibration.knot_scores or [0.5])
    random = np.random.default_rng(3)
    # On knots and beside them, and more scores than there are knots: np.interp takes another way then.
    near = np.concatenate([knots, np.nextafter(knots, 0), np.nextafter(knots, 1)])
    scores = np.concatenate([random.random(50_000), near, expit(random.normal(0, 9, 5_000)), [0.0, 1.0]])
    expected, order = calibration.apply(scores), random.permutation(len(scores))

    np.testing.assert_array_equal(calibration.apply(scores[order]), expected[order])
    np.testing.assert_array_equal(np.concatenate([calibration.apply(one) for one in scores[:, None]]), expected)
    for shift in range(1, 9):  # other lanes of a vector register, other alignment
        np.testing.assert_array_equal(calibration.apply(scores[shift:]), expected[shift:])
    np.testing.assert_array_equal(calibration.apply(np.repeat(scores, 2)[::2]), expected)
    assert calibration.apply(scores[:0]).shape == (0,)


def test_a_platt_probability_is_the_one_of_a_calculator() -> None:
    calibration = Calibration("platt", 1.25, -0.5)
    scores = np.random.default_rng(5).random(1_000)
    expected = [1 / (1 + math.exp(-(1.25 * math.log(s / (1 - s)) - 0.5))) for s in scores.tolist()]

    np.testing.assert_allclose(calibration.apply(scores), expected, rtol=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_score_stays_unknown(method: Method) -> None:
    assert np.isnan(fitted(method).apply(np.array([np.nan, 0.5]))).tolist() == [True, False]


@pytest.mark.parametrize("method", METHODS)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_a_higher_score_never_gets_a_lower_probability(method: Method, scores: list[float]) -> None:
    probabilities = FITTED[method].apply(np.sort(scores))

    assert (np.diff(probabilities) >= -1e-15).all()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


FITTED: dict[Method, Calibration] = {method: fitted(method) for method in METHODS}


@pytest.mark.parametrize("method", METHODS)
def test_a_file_gives_back_the_same_calibration(method: Method) -> None:
    calibration = fitted(method)

    assert Calibration.from_state(json.loads(json.dumps(calibration.to_state()))) == calibration
    assert calibration.method == method


KNOTS: dict[str, Any] = {"method": "isotonic", "knot_scores": [0.1, 0.5], "knot_probabilities": [0.2, 0.4]}
LINE: dict[str, Any] = {"method": "platt", "slope": 1.0, "intercept": 0.0}


@pytest.mark.parametrize(
    "state",
    [
        None,
        [],
        {},
        {"method": "beta"},
        {"method": ["platt"]},
        {"method": "platt"},
        {**LINE, "slope": 0.0},
        {**LINE, "slope": -1.0},
        {**LINE, "slope": math.nan},
        {**LINE, "slope": "1"},
        {**LINE, "slope": True},
        {**LINE, "slope": 10**400},
        {**LINE, "intercept": math.inf},
        {**KNOTS, "knot_scores": []},
        {**KNOTS, "knot_scores": [], "knot_probabilities": []},
        {**KNOTS, "knot_scores": 0.5},
        {**KNOTS, "knot_scores": [0.1, None]},
        {**KNOTS, "knot_scores": [0.1, math.nan]},
        {**KNOTS, "knot_scores": [0.1, 1.1]},
        {**KNOTS, "knot_scores": [0.5, 0.1]},
        {**KNOTS, "knot_scores": [0.1, 0.1]},
        {**KNOTS, "knot_scores": [0.1, 0.2, 0.3]},
        {**KNOTS, "knot_probabilities": [0.4, 0.2]},
        {**KNOTS, "knot_probabilities": [-0.1, 0.2]},
        {**KNOTS, "knot_probabilities": [0.1, math.inf]},
    ],
)
def test_a_state_that_is_no_calibration_is_refused(state: Any) -> None:
    assert Calibration.from_state(KNOTS).method == "isotonic"
    assert Calibration.from_state(LINE).method == "platt"

    with pytest.raises(ValueError, match=r"."):
        Calibration.from_state(state)


@pytest.mark.parametrize(
    ("labels", "scores"),
    [([], []), ([0, 1], [0.5]), ([0, 2], [0.5, 0.5]), ([0, 1], [0.5, 1.5]), ([0, 1], [0.5, math.nan])],
)
def test_a_calibration_is_not_fitted_to_what_is_no_evidence(labels: list[int], scores: list[float]) -> None:
    with pytest.raises(ValueError, match="labels"):
        fit_calibration("platt", labels, scores)


def test_a_choice_needs_both_classes_in_every_fold() -> None:
    with pytest.raises(ValueError, match="5 folds"):
        choose_calibration(np.array([1] * 4 + [0] * 50), np.linspace(0, 1, 54))


def test_a_calibration_is_applied_without_scikit_learn_or_pandas() -> None:
    script = """
import sys
import numpy
from churn.core.calibration import Calibration
Calibration("platt", 1.1, 0.2).apply(numpy.array([0.5]))
Calibration("isotonic", knot_scores=(0.5,), knot_probabilities=(0.4,)).apply(numpy.array([0.5]))
print([name for name in ("sklearn", "pandas", "scipy.optimize") if name in sys.modules])
"""
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"
