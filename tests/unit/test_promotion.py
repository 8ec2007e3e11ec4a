"""The gate: no promotion without a complete evidence record, and never on a tie."""

import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.core.promotion import decide_promotion
from churn.policy import Policy
from churn.records import Decision, Evaluation, Interval

POLICY = Policy()
GOOD = Evaluation(
    row_count=1_400,
    churn_rate=0.265,
    roc_auc=Interval(0.85, 0.83, 0.87),
    pr_auc=0.66,
    brier=0.134,
    log_loss=0.41,
    calibration_error=0.02,
    lift_10=2.9,
    capture_20=0.5,
)
BETTER = Interval(0.01, 0.002, 0.018)


def decide(
    challenger: Evaluation | None = GOOD,
    difference: Interval | None = BETTER,
    has_production: bool = True,
    smoke: float | None = 0.0,
) -> Decision:
    return decide_promotion(challenger, difference, has_production, POLICY, smoke)


def failed(decision: Decision) -> list[str]:
    return [rule.name for rule in decision.rules if not rule.passed]


def test_a_better_challenger_is_promoted_with_every_rule_listed() -> None:
    decision = decide()

    assert decision.approved
    assert [rule.name for rule in decision.rules] == [
        "evidence is complete",
        "holdout AUC",
        "calibration error",
        "artifact loaded back",
        "low end of the AUC difference to Production",
    ]
    assert decision.rules[1].observed == 0.85
    assert decision.rules[1].required == POLICY.minimum_auc


def test_the_first_version_needs_no_comparison() -> None:
    decision = decide(difference=None, has_production=False)

    assert decision.approved
    assert "no Production version yet" in decision.reason


@pytest.mark.parametrize(
    "difference",
    [
        Interval(0.0, 0.0, 0.0),
        Interval(0.01, -0.001, 0.02),
        Interval(-0.02, -0.03, -0.01),
        Interval(0.01, 0.0, 0.02),
    ],
)
def test_a_tie_a_doubt_or_a_loss_keeps_production(difference: Interval) -> None:
    decision = decide(difference=difference)

    assert not decision.approved
    assert failed(decision) == ["low end of the AUC difference to Production"]
    assert decision.reason.startswith("Production stays")


def test_a_missing_comparison_keeps_production() -> None:
    decision = decide(difference=None)

    assert not decision.approved
    assert "AUC difference" in decision.reason


def test_a_poor_auc_is_refused_with_its_numbers() -> None:
    decision = decide(replace(GOOD, roc_auc=Interval(0.69, 0.66, 0.72)))

    assert failed(decision) == ["holdout AUC"]
    assert decision.reason == "Production stays: holdout AUC is 0.69, required at least 0.7."


def test_a_poor_calibration_is_refused_even_for_the_first_version() -> None:
    decision = decide(replace(GOOD, calibration_error=0.2), None, has_production=False)

    assert failed(decision) == ["calibration error"]
    assert decision.reason.startswith("Nothing is promoted")


@pytest.mark.parametrize("smoke", [1e-16, 0.1, None, math.nan])
def test_an_artifact_that_answers_otherwise_is_refused(smoke: float | None) -> None:
    assert "artifact loaded back" in failed(decide(smoke=smoke))


def test_every_broken_rule_is_in_the_reason() -> None:
    decision = decide(None, None, smoke=None)

    assert len(failed(decision)) == 5
    assert "holdout AUC is missing" in decision.reason


@given(
    st.sampled_from([field.name for field in fields(Evaluation)]),
    st.sampled_from([math.nan, math.inf, -math.inf, None]),
)
def test_any_number_that_is_missing_or_not_finite_fails_closed(name: str, value: float | None) -> None:
    broken = Interval(0.85, value, 0.9) if name == "roc_auc" else value  # type: ignore[arg-type]

    decision = decide(replace(GOOD, **{name: broken}))

    assert not decision.approved
    assert name in decision.reason


@pytest.mark.parametrize("end", ["value", "low", "high"])
def test_a_difference_that_is_not_finite_fails_closed(end: str) -> None:
    assert not decide(difference=replace(BETTER, **{end: math.nan})).approved


@given(st.floats(0.5, 1), st.floats(0, 0.3), st.floats(-0.2, 0.2), st.sampled_from([0.0, 1e-9]))
def test_approval_means_exactly_that_no_rule_failed(auc: float, error: float, low: float, smoke: float) -> None:
    challenger = replace(GOOD, roc_auc=Interval(auc, auc, auc), calibration_error=error)
    decision = decide(challenger, Interval(low, low, low), smoke=smoke)

    assert decision.approved == (auc >= 0.7 and error <= 0.08 and low > 0 and smoke == 0)
    assert decision.approved == (failed(decision) == [])
