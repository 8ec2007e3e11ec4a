"""The gate: no promotion without a complete evidence record, and never on a tie."""

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.core.comparison import SLICE_NAMES, Comparison, SliceDifference
from churn.core.promotion import PRODUCTION_FIELDS, Evidence, decide_promotion
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
BETTER = Interval(0.011, 0.003, 0.019)
TIE = Interval(0.0, -0.004, 0.004)
COMPARISON = Comparison(
    auc_difference=BETTER,
    profit_difference=Interval(0.1, -0.1, 0.3),
    production_profit=8.0,
    largest_difference=0.2,
    slices=tuple(SliceDifference(name, 60, 200, Interval(0.0, -0.02, 0.02)) for name in SLICE_NAMES),
)
EVIDENCE = Evidence(
    holdout=GOOD,
    rows="rows",
    digest="ours",
    expected_digest="ours",
    smoke_difference=0.0,
    latency_seconds=0.001,
    rows_per_second=200_000.0,
    artifact_bytes=300_000,
    has_production=True,
    production_holdout=GOOD,
    production_rows="rows",
    production_digest="theirs",
    production_version=3,
    serving_version=3,
    production_age_days=20.0,
    comparison=COMPARISON,
)
FIRST = replace(EVIDENCE, has_production=False, **dict.fromkeys(PRODUCTION_FIELDS))  # type: ignore[arg-type]
OLD = POLICY.production_maximum_age_days + 1
NO_NUMBER = (math.nan, math.inf, -math.inf, None)
AUC_RULE, PROFIT_RULE = "low end of the AUC difference to Production", "low end of the profit difference to Production"


def decide(evidence: Evidence = EVIDENCE, **changes: Any) -> Decision:
    return decide_promotion(replace(evidence, **changes), POLICY)


def compared(**changes: Any) -> Evidence:
    return replace(EVIDENCE, comparison=replace(COMPARISON, **changes))


def failed(decision: Decision) -> list[str]:
    return [rule.name for rule in decision.rules if not rule.passed]


def numbers_of(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every single value in a record; slices are told apart by the test of slices."""
    if not is_dataclass(value):
        yield path
        return
    for field in fields(value):
        yield from numbers_of(getattr(value, field.name), (*path, field.name))


def with_value(record: Any, path: tuple[str, ...], value: object) -> Any:
    if not path:
        return value
    return replace(record, **{path[0]: with_value(getattr(record, path[0]), path[1:], value)})


FINITE = [path for path in numbers_of(EVIDENCE) if path[-1] not in ("problems", "has_production", "slices")]


def test_a_better_challenger_is_promoted_with_every_rule_listed() -> None:
    decision = decide()
    assert decision.approved
    assert [rule.name for rule in decision.rules] == [
        "nothing went wrong",
        "evidence is complete",
        "customers of the rarer class",
        "holdout AUC",
        "calibration error",
        "artifact loaded back",
        "digest of the artifact",
        "seconds for one prediction",
        "predictions a second",
        "bytes of the artifact",
        "Production is still the one compared",
        "customers judged on",
        "another model than Production",
        "days that Production serves",
        AUC_RULE,
        PROFIT_RULE,
        *(f"high end of the AUC difference among {name}" for name in SLICE_NAMES),
    ]
    auc = decision.rules[3]
    assert (auc.observed, auc.required) == (0.85, POLICY.minimum_auc)


def test_the_first_version_needs_no_comparison() -> None:
    decision = decide(FIRST)
    assert decision.approved
    assert "no Production version yet" in decision.reason


@pytest.mark.parametrize(
    "difference", [Interval(0, 0, 0), TIE, Interval(-0.02, -0.03, -0.01), Interval(0.01, 0.001, 0.019)]
)
def test_a_tie_a_doubt_or_a_loss_keeps_production(difference: Interval) -> None:
    decision = decide(compared(auc_difference=difference))
    assert failed(decision) == [AUC_RULE]
    assert decision.reason.startswith("Production stays")


def test_a_tie_replaces_production_that_has_served_too_long() -> None:
    tie = compared(auc_difference=TIE)
    decision = decide(tie, production_age_days=OLD)
    assert decision.approved
    assert "not worse" in decision.reason
    assert "91 days old, of 90 allowed" in decision.reason
    assert not decide(tie, production_age_days=POLICY.production_maximum_age_days).approved


@given(st.floats(-0.1, 0.1), st.floats(0, 400))
def test_age_never_lets_a_challenger_through_that_may_be_worse_by_the_margin(low: float, age: float) -> None:
    decision = decide(compared(auc_difference=Interval(low, low, low)), production_age_days=age)
    required = -POLICY.auc_margin if age > POLICY.production_maximum_age_days else POLICY.minimum_auc_gain
    assert decision.approved == (low > required)


def test_the_same_model_again_is_kept_and_called_so_however_old_production_is() -> None:
    same = compared(auc_difference=Interval(0, 0, 0), profit_difference=Interval(0, 0, 0))
    stored_anew = replace(same, comparison=replace(COMPARISON, auc_difference=TIE, largest_difference=0.0))
    for evidence, age in itertools.product((replace(same, production_digest="ours"), stored_anew), (1.0, OLD)):
        decision = decide(evidence, production_age_days=age)
        assert not decision.approved
        assert "the challenger is the same model as Production" in decision.reason


def test_a_better_ranking_that_may_lose_money_keeps_production() -> None:
    allowed = POLICY.maximum_profit_loss_rate * COMPARISON.production_profit
    assert decide(compared(profit_difference=Interval(0.0, -allowed, 0.1))).approved
    decision = decide(compared(profit_difference=Interval(0.0, -1.01 * allowed, 0.1)))
    assert failed(decision) == [PROFIT_RULE]
    assert "required at least -0.24" in decision.reason


@pytest.mark.parametrize("name", SLICE_NAMES)
def test_a_slice_that_falls_beyond_chance_keeps_production(name: str) -> None:
    fallen = compared(slices=tuple(_slice_of(each, name, Interval(-0.06, -0.08, -0.04)) for each in COMPARISON.slices))
    assert failed(decide(fallen)) == [f"high end of the AUC difference among {name}"]
    doubtful = compared(slices=tuple(_slice_of(each, name, Interval(-0.06, -0.1, -0.02)) for each in COMPARISON.slices))
    assert decide(doubtful).approved


def _slice_of(each: SliceDifference, name: str, difference: Interval | None) -> SliceDifference:
    return replace(each, difference=difference) if each.name == name else each


def test_a_slice_too_small_is_listed_as_such_and_decides_nothing() -> None:
    small = SliceDifference(SLICE_NAMES[2], 9, 330, None)
    decision = decide(compared(slices=(*COMPARISON.slices[:2], small, *COMPARISON.slices[3:])))
    assert decision.approved
    (rule,) = [rule for rule in decision.rules if rule.name.endswith(small.name)]
    assert rule.observed == "too few to judge: 9 churners, 330 stayers"


@pytest.mark.parametrize("difference", [None, Interval(0, 0, math.nan), Interval(math.nan, 0, 0)])
def test_a_slice_with_enough_customers_and_no_number_fails_closed(difference: Interval | None) -> None:
    broken = tuple(_slice_of(each, SLICE_NAMES[4], difference) for each in COMPARISON.slices)
    assert not decide(compared(slices=broken)).approved


@pytest.mark.parametrize("slices", [None, (), COMPARISON.slices[1:], COMPARISON.slices[::-1]])
def test_slices_that_are_missing_fail_closed(slices: Any) -> None:
    decision = decide(compared(slices=slices))
    assert not decision.approved
    assert "slices" in decision.reason


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"holdout": replace(GOOD, roc_auc=Interval(0.69, 0.66, 0.72))}, "holdout AUC"),
        ({"holdout": replace(GOOD, calibration_error=0.2)}, "calibration error"),
        ({"holdout": replace(GOOD, row_count=100)}, "customers of the rarer class"),
        ({"smoke_difference": 1e-16}, "artifact loaded back"),
        ({"digest": "other"}, "digest of the artifact"),
        ({"latency_seconds": 0.3}, "seconds for one prediction"),
        ({"rows_per_second": 500.0}, "predictions a second"),
        ({"artifact_bytes": 60_000_000}, "bytes of the artifact"),
        ({"serving_version": 4}, "Production is still the one compared"),
        ({"problems": ("the registry is away",)}, "nothing went wrong"),
    ],
)
def test_one_broken_rule_is_enough_for_a_first_version_too(changes: dict[str, Any], rule: str) -> None:
    for evidence in (EVIDENCE, FIRST):
        decision = decide(evidence, **changes)
        assert failed(decision) == [rule]
    assert decision.reason.startswith("Nothing is promoted: ")


def test_a_poor_auc_is_refused_with_its_numbers() -> None:
    decision = decide(holdout=replace(GOOD, roc_auc=Interval(0.69, 0.66, 0.72)))
    assert decision.reason == "Production stays: holdout AUC is 0.69, required at least 0.7."


def test_other_rows_keep_production() -> None:
    decision = decide(production_rows="others")
    assert failed(decision) == ["customers judged on"]
    assert "others" in decision.reason


@pytest.mark.parametrize("name", [field.name for field in fields(Evidence)])
def test_any_missing_evidence_keeps_production_and_is_named(name: str) -> None:
    decision = decide(**{name: None})
    assert not decision.approved
    assert name in decision.reason or name in ("problems", "has_production")
    assert decision.reason.startswith("Production stays")


@pytest.mark.parametrize("name", [field.name for field in fields(Evidence) if field.name not in PRODUCTION_FIELDS])
def test_any_missing_evidence_about_a_first_version_promotes_nothing(name: str) -> None:
    assert not decide(FIRST, **{name: None}).approved


@pytest.mark.parametrize("path", FINITE, ids="/".join)
@pytest.mark.parametrize("value", NO_NUMBER)
def test_any_number_that_is_missing_or_not_finite_fails_closed(path: tuple[str, ...], value: float | None) -> None:
    decision = decide_promotion(with_value(EVIDENCE, path, value), POLICY)
    assert not decision.approved
    assert path[-1] in decision.reason


def test_no_evidence_at_all_keeps_production() -> None:
    decision = decide_promotion(Evidence(), POLICY)
    assert not decision.approved
    assert decision.reason.startswith("Production stays")


@given(st.data())
def test_any_two_holes_in_the_evidence_never_promote(data: st.DataObject) -> None:
    evidence = EVIDENCE
    for path in data.draw(st.lists(st.sampled_from(FINITE), min_size=1, max_size=2, unique_by=lambda path: path[0])):
        is_text = path[-1].endswith(("rows", "digest"))
        evidence = with_value(evidence, path, None if is_text else data.draw(st.sampled_from(NO_NUMBER)))
    decision = decide_promotion(evidence, POLICY)
    assert not decision.approved
    assert json.dumps(asdict(decision), allow_nan=False)  # what is stored is JSON, whatever was observed


@given(st.floats(0.5, 1), st.floats(0, 0.3), st.floats(-0.2, 0.2), st.sampled_from([0.0, 1e-9]))
def test_approval_means_exactly_that_no_rule_failed(auc: float, error: float, low: float, smoke: float) -> None:
    challenger = replace(GOOD, roc_auc=Interval(auc, auc, auc), calibration_error=error)
    decision = decide(compared(auc_difference=Interval(low, low, low)), holdout=challenger, smoke_difference=smoke)
    assert decision.approved == (auc >= 0.7 and error <= 0.08 and low > 0.001 and smoke == 0)
    assert decision.approved == (failed(decision) == [])
