"""The choice between candidates: what chance explains decides nothing."""

from dataclasses import replace

import numpy as np
import pytest

from churn.core.calibration import Calibration
from churn.core.candidates import Kind
from churn.core.choice import choose_candidate
from churn.core.estimation import CandidateEstimate, JudgedFold, Recipe
from churn.core.evaluation import evaluate
from churn.core.profit import RetentionEconomics, expected_maximum_profit
from churn.policy import Policy

POLICY = Policy()
RANDOM = np.random.default_rng(1)
LABELS = (RANDOM.random(3_000) < 0.27).astype(np.int8)
SIGNAL = 1.5 * LABELS + RANDOM.normal(size=len(LABELS))


def squashed(scores: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-scores))


def estimate(kind: Kind, probabilities: np.ndarray, rows_a_second: float = 1e6) -> CandidateEstimate:
    economics = RetentionEconomics.from_policy(POLICY)
    folds = []
    for number, judging in enumerate(np.array_split(np.arange(len(LABELS)), POLICY.fold_count)):
        truth, answers = LABELS[judging], probabilities[judging]
        profit = expected_maximum_profit(truth, answers, economics).amount
        folds.append(JudgedFold(0, number, {}, "none", evaluate(truth, answers, 0.95), profit))
    return CandidateEstimate(kind, Recipe({}, Calibration.none()), tuple(folds), probabilities[None, :], rows_a_second)


def noisy(amount: float, seed: int) -> np.ndarray:
    return squashed(SIGNAL + amount * np.random.default_rng(seed).normal(size=len(LABELS)))


def test_a_candidate_that_ranks_worse_beyond_chance_is_out_however_fast_it_is() -> None:
    choice = choose_candidate(
        [estimate("lightgbm", noisy(2.0, 1), 1e9), estimate("logistic", noisy(0, 2), 1e3)], LABELS, POLICY
    )

    assert choice.kind == "logistic"
    out, chosen = choice.standings
    assert out.verdict == "ranks worse than logistic beyond chance"
    assert out.auc_difference is not None
    assert out.auc_difference.high < 0
    assert (chosen.verdict, chosen.auc_difference, chosen.profit_difference) == ("chosen", None, None)


def test_of_candidates_that_chance_cannot_tell_apart_the_fastest_is_chosen() -> None:
    close = [estimate("lightgbm", noisy(0.05, 1), 1e4), estimate("xgboost", noisy(0.05, 2), 1e6)]

    assert choose_candidate(close, LABELS, POLICY).kind == "xgboost"


def test_less_than_a_factor_of_two_is_no_difference_in_speed() -> None:
    close = [estimate("xgboost", noisy(0.05, 2), 1.9e6), estimate("lightgbm", noisy(0.05, 1), 1e6)]

    choice = choose_candidate(close, LABELS, POLICY)
    assert choice.kind == "lightgbm"
    assert choice.standings[0].verdict == "as good and as fast"


def test_a_candidate_that_earns_less_beyond_chance_is_out() -> None:
    """Both have an AUC of 0.7. An offer pays from a risk of one in six on: to know who stays saves offers, and to know
    who leaves brings nothing where everybody else is contacted too."""
    random = np.random.default_rng(4)
    noise, known = random.random(len(LABELS)), random.random(len(LABELS)) < 0.4
    knows_leavers = np.where((LABELS == 1) & known, 0.9 + noise / 10, 0.1 + 0.8 * noise)
    knows_stayers = np.where((LABELS == 0) & known, noise / 10, 0.1 + 0.8 * noise)

    choice = choose_candidate(
        [estimate("lightgbm", knows_leavers, 1e9), estimate("xgboost", knows_stayers, 1e3)], LABELS, POLICY
    )

    assert choice.kind == "xgboost"
    assert choice.standings[0].verdict == "earns less than xgboost beyond chance"


def test_nothing_is_chosen_from_nothing_or_from_what_is_missing() -> None:
    with pytest.raises(ValueError, match="probability for every row"):
        choose_candidate([], LABELS, POLICY)
    good = estimate("lightgbm", noisy(0, 1))
    missing = replace(good, probabilities=np.full((1, len(LABELS)), np.nan))
    with pytest.raises(ValueError, match="probability for every row"):
        choose_candidate([good, missing], LABELS, POLICY)
