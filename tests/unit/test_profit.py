"""Profit against its own definition: by hand, by integration, and by what must never happen."""

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from churn.core.profit import RetentionEconomics, expected_maximum_profit, profit_curve
from churn.policy import Policy

ECONOMICS = RetentionEconomics.from_policy(Policy())
RANDOM = np.random.default_rng(8)
LABELS = (RANDOM.random(600) < 0.27).astype(int)
SCORES = 1 / (1 + np.exp(-(RANDOM.normal(size=600) + 1.4 * LABELS - 1.5)))

pairs = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5001, 1.0])), min_size=2)


def best_profit(acceptance: float, labels: np.ndarray, scores: np.ndarray, economics: RetentionEconomics) -> float:
    """The profit per customer of the best threshold, tried one after the other."""
    tried = [0.0]
    for threshold in np.unique(scores):
        contacted = scores >= threshold
        churners, stayers = labels[contacted].sum(), (1 - labels[contacted]).sum()
        accepted = acceptance * (economics.customer_value - economics.offer_cost)
        tried.append(
            churners * (accepted - economics.contact_cost) - stayers * (economics.offer_cost + economics.contact_cost)
        )
    return max(tried) / len(labels)


def integrated(labels: np.ndarray, scores: np.ndarray, economics: RetentionEconomics) -> float:
    shape = economics.acceptance_alpha, economics.acceptance_beta

    def weighted(acceptance: float) -> float:
        return best_profit(acceptance, labels, scores, economics) * beta.pdf(acceptance, *shape)

    return float(quad(weighted, 0, 1, limit=400)[0])


def test_the_expected_maximum_profit_is_its_definition_integrated() -> None:
    found = expected_maximum_profit(LABELS, SCORES, ECONOMICS)
    assert found.amount == pytest.approx(integrated(LABELS, SCORES, ECONOMICS), abs=1e-4)
    assert 0 < found.contacted_share < 1


@given(pairs)
def test_the_expected_maximum_profit_holds_with_ties_too(rows: list[tuple[int, float]]) -> None:
    labels, scores = np.array(rows).T
    assume(0 < labels.sum() < len(labels))
    found = expected_maximum_profit(labels, scores, ECONOMICS)
    acceptances = np.linspace(0.0005, 0.9995, 1_000)
    weights = np.diff(beta.cdf(np.linspace(0, 1, 1_001), ECONOMICS.acceptance_alpha, ECONOMICS.acceptance_beta))
    expected = sum(
        weight * best_profit(acceptance, labels, scores, ECONOMICS)
        for acceptance, weight in zip(acceptances, weights, strict=True)
        if weight > 1e-12
    )
    assert found.amount == pytest.approx(expected, abs=0.02)


def test_contacting_everybody_is_reckoned_by_hand() -> None:
    # 2 churners, 3 stayers; 200 worth, 10 offered, 1 for the contact, 3 of 10 accept.
    curve = profit_curve([1, 0, 1, 0, 0], [0.9, 0.8, 0.7, 0.2, 0.1], ECONOMICS)
    assert curve.contacted_share == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert curve.profit * 5 == pytest.approx([0, 56, 45, 101, 90, 79])
    assert curve.best == 3


def test_a_model_that_knows_everything_earns_most_and_one_that_knows_nothing_least() -> None:
    knowing = expected_maximum_profit(LABELS, LABELS.astype(float), ECONOMICS).amount
    model = expected_maximum_profit(LABELS, SCORES, ECONOMICS).amount
    nothing = expected_maximum_profit(LABELS, np.full(len(LABELS), 0.5), ECONOMICS).amount
    assert knowing > model > nothing >= 0


@given(pairs, st.integers(0, 1_000))
def test_saving_more_churners_never_lowers_profit(rows: list[tuple[int, float]], drawn: int) -> None:
    """One more of the contacted is a churner instead of a stayer: every profit is as high or higher."""
    labels, scores = np.array(rows).T
    stayers = np.flatnonzero(labels == 0)
    assume(labels.sum() > 0 and len(stayers) > 1)
    more = labels.copy()
    more[stayers[drawn % len(stayers)]] = 1
    before, after = profit_curve(labels, scores, ECONOMICS), profit_curve(more, scores, ECONOMICS)
    assert (after.profit >= before.profit - 1e-12).all()
    amounts = [expected_maximum_profit(each, scores, ECONOMICS).amount for each in (labels, more)]
    assert amounts[1] >= amounts[0] - 1e-12


@given(pairs, st.floats(1.01, 3))
def test_more_acceptance_or_value_never_lowers_profit_and_more_cost_never_raises_it(
    rows: list[tuple[int, float]], factor: float
) -> None:
    labels, scores = np.array(rows).T
    assume(0 < labels.sum() < len(labels))
    amount = expected_maximum_profit(labels, scores, ECONOMICS).amount
    for name, sign in (
        ("acceptance_alpha", 1), ("acceptance_beta", -1), ("customer_value", 1), ("offer_cost", -1),
        ("contact_cost", -1),
    ):  # fmt: skip
        other = dataclasses.replace(ECONOMICS, **{name: factor * getattr(ECONOMICS, name)})
        assert sign * (expected_maximum_profit(labels, scores, other).amount - amount) >= -1e-9, name


def test_an_offer_that_costs_what_the_customer_is_worth_is_refused() -> None:
    with pytest.raises(ValueError, match="cost less"):
        dataclasses.replace(ECONOMICS, offer_cost=200.0)


@given(pairs, st.integers(0, 1_000), st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.75, 1.0]))
def test_a_churner_who_moves_up_in_the_ranking_never_lowers_profit(
    rows: list[tuple[int, float]], drawn: int, score: float
) -> None:
    """Whatever share of customers is contacted, and for the expected maximum profit too."""
    labels, scores = np.array(rows).T
    assume(0 < labels.sum() < len(labels))
    churners = np.flatnonzero(labels == 1)
    mover = churners[drawn % len(churners)]
    moved = scores.copy()
    moved[mover] = max(score, scores[mover])
    before, after = (profit_curve(labels, each, ECONOMICS) for each in (scores, moved))
    shares = np.arange(len(labels) + 1) / len(labels)
    # Equal scores are contacted in proportion where the share ends among them.
    profits = [np.interp(shares, curve.contacted_share, curve.profit) for curve in (before, after)]
    assert (profits[1] >= profits[0] - 1e-9).all()
    amounts = [expected_maximum_profit(labels, each, ECONOMICS).amount for each in (scores, moved)]
    assert amounts[1] >= amounts[0] - 1e-9
