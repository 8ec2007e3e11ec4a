"""A run is published only when it is whole and looks like the nights before."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from churn.core.run_checks import (
    PLAUSIBILITY,
    baseline_of_reference,
    check_run,
    decile_shares,
    may_be_forced,
)
from churn.policy import Policy
from churn.records import Decision, Rule, ScoreBaseline, ScoreSummary

DIGEST = "d" * 64
COUNT = 100_000


def cuts_of(probabilities: np.ndarray) -> tuple[float, ...]:
    ordered = np.sort(probabilities)
    return tuple(ordered[[number * len(ordered) // 100 for number in range(1, 100)]].tolist())


def summary_of(probabilities: np.ndarray) -> ScoreSummary:
    return ScoreSummary(
        row_count=len(probabilities),
        customer_count=len(probabilities),
        same_customers=True,
        lowest=float(probabilities.min()),
        highest=float(probabilities.max()),
        mean=float(probabilities.mean()),
        cuts=cuts_of(probabilities),
        model_digests=(DIGEST,),
    )


SCORES = np.random.default_rng(1).beta(0.8, 2.2, COUNT)  # a mean near the public data's churn rate
GOOD = summary_of(SCORES)
YESTERDAY = ScoreBaseline("the last 7 published runs", GOOD.mean or 0, GOOD.cuts, widened=False)


def check(found: ScoreSummary, baseline: ScoreBaseline | None = YESTERDAY, **policy: float) -> Decision:
    return check_run(found, DIGEST, baseline, Policy(**policy))  # type: ignore[arg-type]


def test_a_whole_run_like_the_nights_before_passes_every_rule() -> None:
    decision = check(GOOD)
    assert decision.approved
    assert all(rule.passed for rule in decision.rules)
    assert {rule.name for rule in decision.rules} >= set(PLAUSIBILITY)
    assert "the last 7 published runs" in decision.reason


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ({"row_count": 99}, "one row for every customer"),
        ({"row_count": COUNT + 1}, "one row for every customer"),
        ({"same_customers": False}, "exactly the customers of the snapshot"),
        ({"customer_count": 0, "row_count": 0}, "the snapshot has customers"),
        ({"lowest": -0.1}, "no probability below 0"),
        ({"highest": 1.1}, "no probability above 1"),
        ({"lowest": None, "highest": None}, "no probability below 0"),
        ({"highest": math.nan}, "no probability above 1"),
        ({"model_digests": (DIGEST, "e" * 64)}, "scores of the one model that the run recorded"),
        ({"model_digests": ("e" * 64,)}, "scores of the one model that the run recorded"),
    ],
)
def test_a_run_that_is_not_whole_is_refused_and_no_reason_can_force_it(broken: dict[str, Any], rule: str) -> None:
    decision = check(replace(GOOD, **broken))
    assert not decision.approved
    assert rule in decision.reason
    assert not next(each for each in decision.rules if each.name == rule).passed
    assert not may_be_forced(decision)


@pytest.mark.parametrize(
    ("scores", "rule"),
    [
        (1 - SCORES, "the mean is close to the baseline"),
        (1 - SCORES, "every decile is close to the baseline"),
        (np.full(COUNT, 0.265), "probabilities differ between customers"),
        (np.full(COUNT, 0.265), "every decile is close to the baseline"),
        (SCORES * 0.5, "the mean is close to the baseline"),
        (np.where(SCORES < 0.5, 0.1, 0.73), "every decile is close to the baseline"),
    ],
    ids=["swapped: mean", "swapped: deciles", "constant", "constant: deciles", "halved", "coarse"],
)
def test_scores_unlike_the_nights_before_are_refused_but_may_be_forced(scores: np.ndarray, rule: str) -> None:
    decision = check(summary_of(scores))
    assert not decision.approved
    assert rule in decision.reason
    assert may_be_forced(decision)


def test_another_sample_of_the_same_customers_passes_however_small() -> None:
    random = np.random.default_rng(2)
    for count in (20, 100, 1_000, 20_000):
        for _ in range(20):
            assert check(summary_of(random.choice(SCORES, count))).approved


def test_a_promotion_in_between_widens_the_bounds_and_says_so() -> None:
    shifted = summary_of(SCORES * 0.75)
    assert not check(shifted).approved
    decision = check(shifted, replace(YESTERDAY, widened=True))
    assert decision.approved
    assert "another model version" in str([rule.required for rule in decision.rules])


def test_the_first_night_is_held_against_the_models_reference() -> None:
    reference = baseline_of_reference(np.random.default_rng(3).choice(SCORES, 2_000))
    assert reference is not None
    assert check(GOOD, reference).approved
    assert not check(summary_of(1 - SCORES), reference).approved
    assert baseline_of_reference(np.array([])) is None


def test_without_any_baseline_only_the_run_itself_is_judged() -> None:
    assert check(summary_of(1 - SCORES), None).approved
    assert not check(summary_of(np.full(COUNT, 0.3)), None).approved


def test_a_failed_expectation_of_the_suite_refuses_the_run() -> None:
    suite = [Rule("expect_column_values_to_not_be_null of churn_probability", False, "3", "as the suite says")]
    decision = check_run(GOOD, DIGEST, YESTERDAY, Policy(), suite)
    assert not decision.approved
    assert not may_be_forced(decision)


def test_a_single_customer_may_be_published() -> None:
    assert check(summary_of(np.array([0.4]))).approved


def test_decile_shares_of_a_run_in_its_own_deciles_are_tenths() -> None:
    shares = decile_shares(GOOD.cuts, GOOD.cuts)
    assert shares.sum() == pytest.approx(1)
    assert shares == pytest.approx(np.full(10, 0.1), abs=0.006)
    assert decile_shares(GOOD.cuts, summary_of(1 - SCORES).cuts)[-1] > 0.4
