"""Two models on the same customers: the profit's interval against a plain bootstrap, and slices by name."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from churn.core.comparison import SLICE_NAMES, compare_models, compare_slices, profit_difference, resampled_profits
from churn.core.evaluation import auc_difference
from churn.core.profit import RetentionEconomics, expected_maximum_profit
from churn.policy import Policy

POLICY = Policy()
ECONOMICS = RetentionEconomics.from_policy(POLICY)
COUNT = 900


def scores_of(labels: np.ndarray, strength: float, noise: np.ndarray) -> np.ndarray:
    """Probabilities that know `strength` standard deviations about who leaves."""
    return 1 / (1 + np.exp(-(strength * labels + noise - 1.5)))


def two_models(seed: int, count: int = COUNT) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and a good and a slightly poorer model, whose errors go together."""
    random = np.random.default_rng(seed)
    labels = (random.random(count) < 0.27).astype(int)
    noise = random.normal(size=count)
    other = 0.9 * noise + 0.43 * random.normal(size=count)
    return labels, scores_of(labels, 1.45, noise), scores_of(labels, 1.35, other)


def customers(count: int = COUNT) -> pd.DataFrame:
    random = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "Contract": random.choice(["Month-to-month", "One year", "Two year"], count, p=[0.6, 0.35, 0.05]),
            "SeniorCitizen": random.integers(0, 2, count),
            "tenure": random.integers(0, 73, count),
        }
    )


LABELS, GOOD, POORER = two_models(1)


def test_a_model_against_itself_differs_by_exactly_nothing() -> None:
    found = compare_models(customers(), LABELS, GOOD, GOOD, POLICY)
    assert found.profit_difference.value == found.profit_difference.low == found.profit_difference.high == 0
    assert found.auc_difference.value == found.auc_difference.low == found.auc_difference.high == 0
    assert all(each.difference is None or each.difference.high == 0 for each in found.slices)


def test_the_comparison_turned_round_is_its_mirror() -> None:
    one, other = profit_difference(LABELS, GOOD, POORER, POLICY), profit_difference(LABELS, POORER, GOOD, POLICY)
    assert (other.value, other.low, other.high) == pytest.approx((-one.value, -one.high, -one.low))


def test_the_same_rows_give_the_same_interval_every_time() -> None:
    assert profit_difference(LABELS, GOOD, POORER, POLICY) == profit_difference(LABELS, GOOD, POORER, POLICY)


def test_the_interval_is_that_of_a_plain_bootstrap() -> None:
    random = np.random.default_rng(77)
    churners, stayers = np.flatnonzero(LABELS == 1), np.flatnonzero(LABELS == 0)
    differences = []
    for _ in range(400):
        rows = np.r_[random.choice(churners, len(churners)), random.choice(stayers, len(stayers))]
        good, poorer = (expected_maximum_profit(LABELS[rows], each[rows], ECONOMICS).amount for each in (GOOD, POORER))
        differences.append(good - poorer)
    low, high = np.quantile(differences, [0.025, 0.975])
    found = profit_difference(LABELS, GOOD, POORER, POLICY)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.12 * (high - low))


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5001, 1.0]), st.integers(0, 3)),
        min_size=2,
        max_size=40,
    )
)
def test_a_customer_drawn_twice_counts_as_two(rows: list[tuple[int, float, int]]) -> None:
    labels, scores, drawn = (np.array(column, float) for column in zip(*rows, strict=True))
    repeated = np.repeat(np.arange(len(rows)), drawn.astype(int))
    assume(0 < labels.sum() < len(labels) and 0 < labels[repeated].sum() < len(repeated))
    exact = expected_maximum_profit(labels[repeated], scores[repeated], ECONOMICS).amount
    (found,) = resampled_profits(labels, scores, drawn[None, :], ECONOMICS)
    assert found == pytest.approx(exact, abs=0.02)
    assert found <= exact + 1e-9  # a piece with a kink stands at its mean: never too much


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    labels, good, poorer = two_models(1_000, 200_000)
    amounts = [expected_maximum_profit(labels, each, ECONOMICS).amount for each in (good, poorer)]
    truth = amounts[0] - amounts[1]
    policy = POLICY.model_copy(update={"profit_resample_count": 200})
    found = [profit_difference(*two_models(seed), policy) for seed in range(200)]
    held = sum(each.low <= truth <= each.high for each in found)
    assert 180 <= held <= 199  # 95 % of 200 is 190, with a standard error of 3


def test_every_slice_is_listed_and_one_too_small_says_so() -> None:
    found = compare_slices(customers(), LABELS, GOOD, POORER, POLICY)
    assert tuple(each.name for each in found) == SLICE_NAMES
    assert len(SLICE_NAMES) == 10
    slices = {each.name: each for each in found}
    small = slices["Contract Two year"]
    assert 0 < small.churner_count < POLICY.slice_minimum_class_count
    assert small.difference is None
    for groups in (SLICE_NAMES[:3], SLICE_NAMES[3:5], SLICE_NAMES[5:]):
        assert sum(slices[name].churner_count for name in groups) == LABELS.sum()
        assert sum(slices[name].stayer_count for name in groups) == COUNT - LABELS.sum()


def test_a_slice_is_judged_on_its_own_rows_alone() -> None:
    rows = customers()
    members = (rows["SeniorCitizen"] == 1).to_numpy()
    spoilt = np.where(members, 1 - GOOD, GOOD)
    slices = {each.name: each for each in compare_slices(rows, LABELS, spoilt, GOOD, POLICY)}
    expected = auc_difference(LABELS[members], spoilt[members], GOOD[members], POLICY.confidence)
    assert slices["SeniorCitizen 1"].difference == expected
    assert expected.high < -0.3
    others = slices["SeniorCitizen 0"].difference
    assert others is not None
    assert others.value == others.low == others.high == 0


@pytest.mark.parametrize(
    ("tenure", "name"),
    [
        (0, "tenure 0 to 6 months"),
        (6, "tenure 0 to 6 months"),
        (7, "tenure 7 to 12 months"),
        (12, "tenure 7 to 12 months"),
        (24, "tenure 13 to 24 months"),
        (25, "tenure 25 to 48 months"),
        (49, "tenure from 49 months"),
        (600, "tenure from 49 months"),
    ],
)
def test_a_tenure_is_in_one_band(tenure: int, name: str) -> None:
    rows = pd.DataFrame({"tenure": [tenure, tenure], "Contract": [None, "Two year"], "SeniorCitizen": ["0", ""]})
    found = {each.name: each for each in compare_slices(rows, [0, 1], [0.1, 0.9], [0.1, 0.9], POLICY)}
    assert [each for each in SLICE_NAMES[5:] if found[each].churner_count] == [name]
    assert found["Contract Two year"].churner_count == 1
    assert found["SeniorCitizen 0"].stayer_count == 1
    assert found["SeniorCitizen 1"].churner_count == 0
