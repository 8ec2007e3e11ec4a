"""Nested cross-validation: everything that learns does so on the training rows alone."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
import pytest

from churn.core import estimation, search
from churn.core.candidates import CANDIDATES, Kind
from churn.core.estimation import CandidateEstimate, Rows
from churn.core.evaluation import auc_interval, evaluate
from churn.core.search import Trial
from churn.core.splits import Fold
from churn.core.training import TrainingData, encoded
from churn.policy import Policy
from churn.simulator import simulate

DAY = date(2026, 11, 1)
DATA = TrainingData.from_extract(pd.concat(list(simulate(1_500, seed=3)), ignore_index=True), DAY, "0" * 64)
POLICY = Policy(fold_count=3, nested_repeat_count=2, nested_trial_count=1, search_fold_count=2, search_trial_count=1)


def estimated(kind: Kind, data: TrainingData = DATA, policy: Policy = POLICY) -> CandidateEstimate:
    def find(rows: Rows, folds: Sequence[Fold], count: int) -> list[Trial]:
        return list(search.search(kind, rows, folds, policy.seed, [], count, 60))

    return estimation.estimate_candidate(kind, encoded(data), data.groups, policy, find, find)


@pytest.fixture(scope="module")
def logistic() -> CandidateEstimate:
    return estimated("logistic")


@pytest.mark.parametrize("kind", CANDIDATES)
def test_every_row_is_judged_once_a_repeat(kind: Kind) -> None:
    told = estimated(kind, policy=POLICY.model_copy(update={"nested_repeat_count": 1}))

    assert told.probabilities.shape == (1, len(DATA.labels))
    assert ((told.probabilities > 0) & (told.probabilities < 1)).all()
    assert sum(fold.evaluation.row_count for fold in told.folds) == len(DATA.labels)
    assert 0.75 < estimation.interval(told.folds, "roc_auc", POLICY).value < 0.9
    assert told.rows_a_second > 100


def test_the_estimate_is_the_mean_over_folds_and_its_interval_knows_that_folds_share_rows(
    logistic: CandidateEstimate,
) -> None:
    aucs = [estimation.measure(fold, "roc_auc") for fold in logistic.folds]
    found = estimation.interval(logistic.folds, "roc_auc", POLICY)
    naive = 2.57 * np.std(aucs, ddof=1) / np.sqrt(len(aucs))  # t of 5 degrees

    assert len(aucs) == 6
    assert found.value == pytest.approx(np.mean(aucs))
    assert found.high - found.value > 1.5 * naive


def test_an_estimate_is_the_same_again(logistic: CandidateEstimate) -> None:
    again = estimated("logistic")

    np.testing.assert_array_equal(again.probabilities, logistic.probabilities)
    assert again.folds == logistic.folds
    assert again.recipe == logistic.recipe


def test_every_search_sees_the_training_rows_of_its_fold_only() -> None:
    """Each row has features of its own here, so a judged row would be recognised among those that are searched."""
    rows = encoded(DATA)
    seen: list[np.ndarray] = []

    def find(given: Rows, folds: Sequence[Fold], count: int) -> list[Trial]:
        seen.append(given.matrix)
        return list(search.search("logistic", given, folds, 1, [], count, 60))

    estimation.estimate_candidate("logistic", rows, DATA.groups, POLICY, find, find)
    folds = [fold for repeat in estimation.outer_folds(rows.labels, DATA.groups, POLICY) for fold in repeat]
    assert len(seen) == 1 + len(folds)
    for given, (training, judging) in zip(seen[1:], folds, strict=True):
        assert len(given) == len(training)
        known = {row.tobytes() for row in given}
        assert not known & {row.tobytes() for row in rows.matrix[judging]}


def test_labels_of_pure_chance_give_an_auc_of_chance() -> None:
    """A leak between folds, such as a blanked copy of a judged row, would show as an AUC above one half."""
    labels = np.random.default_rng(6).permutation(DATA.labels)
    chance = TrainingData(DATA.customer_ids, DATA.features, labels, DAY, "a" * 64)

    told = estimated("lightgbm", chance, POLICY.model_copy(update={"search_trial_count": 3}))

    assert estimation.interval(told.folds, "roc_auc", POLICY).value == pytest.approx(0.5, abs=0.05)


def test_a_blend_is_judged_on_the_same_folds(logistic: CandidateEstimate) -> None:
    alone = estimation.blend([logistic], encoded(DATA), DATA.groups, POLICY)

    assert [fold.evaluation for fold in alone] == [fold.evaluation for fold in logistic.folds]


def test_the_yardstick_is_judged_on_the_same_folds() -> None:
    aucs = estimation.baseline_aucs(encoded(DATA), DATA.groups, POLICY)

    assert len(aucs) == 6
    assert all(0.7 < auc < 0.92 for auc in aucs)


def test_the_public_data_set_is_estimated_as_high_as_is_honest(telco: pd.DataFrame) -> None:
    """0.85 is what careful work reaches on these rows; above 0.88 something has seen the answers."""
    data = TrainingData.from_extract(telco, DAY, "a" * 64)
    policy = Policy(nested_repeat_count=1, nested_trial_count=2, search_trial_count=2)

    told = estimated("lightgbm", data, policy)

    pooled = evaluate(data.labels, told.probabilities[0], policy.confidence)
    found = estimation.interval(told.folds, "roc_auc", policy)
    yardstick = np.mean(estimation.baseline_aucs(encoded(data), data.groups, policy))
    assert 0.845 <= found.value < 0.88
    assert found.value >= yardstick - 0.001
    assert pooled.calibration_error <= 0.02
    assert estimation.interval(told.folds, "lift_10", policy).value >= 2.7
    assert found.low < auc_interval(data.labels, told.probabilities[0], policy.confidence).value < found.high
