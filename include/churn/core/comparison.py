"""Challenger against Production on the same customers, whom neither has trained on.

Both models score the same rows, so their errors go together and the difference is known far better than either figure:
the AUC's by the paired interval of DeLong, the profit's by a bootstrap in which a customer is drawn for both.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from churn.columns import BY_NAME
from churn.core.evaluation import auc_difference, checked
from churn.core.features import FeatureEncoder
from churn.core.profit import RetentionEconomics, expected_maximum_profit
from churn.policy import Policy
from churn.records import Interval

# Months at which the life of a contract is told apart: the first half year loses most customers.
TENURE_BANDS = ((0, 6), (7, 12), (13, 24), (25, 48), (49, None))
ACCEPTANCE_NODES = 48  # the profit is averaged over as many equally likely rates of acceptance
DRAWN_AT_ONCE = 100  # resamples: some megabytes at a few thousand customers

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class SliceDifference:
    """The AUC of the challenger minus that of Production among some customers; None where too few to judge."""

    name: str
    churner_count: int
    stayer_count: int
    difference: Interval | None


@dataclass(frozen=True)
class Comparison:
    """Challenger minus Production on the same rows. Profits are amounts per customer of the base.

    `largest_difference` is that between the two probabilities (0..1) of any customer: 0 is the same model.
    """

    auc_difference: Interval
    profit_difference: Interval
    production_profit: float
    largest_difference: float
    slices: tuple[SliceDifference, ...]


def compare_models(
    customers: pd.DataFrame, labels: ArrayLike, challenger: ArrayLike, production: ArrayLike, policy: Policy
) -> Comparison:
    """Compare two models' probabilities (n,) for the same customers (n rows, extract columns) and labels (n,).

    Equal arguments give an equal comparison. Raises as `core.evaluation.evaluate`.
    """
    economics = RetentionEconomics.from_policy(policy)
    _, first = checked(labels, challenger)
    _, second = checked(labels, production)
    return Comparison(
        auc_difference(labels, challenger, production, policy.confidence),
        profit_difference(labels, challenger, production, policy),
        expected_maximum_profit(labels, production, economics).amount,
        float(np.max(np.abs(first - second))),
        compare_slices(customers, labels, challenger, production, policy),
    )


def profit_difference(labels: ArrayLike, challenger: ArrayLike, production: ArrayLike, policy: Policy) -> Interval:
    """The expected maximum profit per customer of `challenger` minus that of `production`, with its interval.

    The interval holds the middle `policy.confidence` of `policy.profit_resample_count` bootstrap differences (Efron
    and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13). Churners and stayers are drawn apart, so that
    chance in the churn rate, which is not the models' doing, is left out. Raises as `evaluate`.
    """
    truth, first = checked(labels, challenger)
    _, second = checked(labels, production)
    economics = RetentionEconomics.from_policy(policy)
    value = (
        expected_maximum_profit(truth, first, economics).amount
        - expected_maximum_profit(truth, second, economics).amount
    )
    random = np.random.default_rng(policy.seed)
    differences = []
    for start in range(0, policy.profit_resample_count, DRAWN_AT_ONCE):
        drawn = _resample(truth, min(DRAWN_AT_ONCE, policy.profit_resample_count - start), random)
        profits = [resampled_profits(truth, scores, drawn, economics) for scores in (first, second)]
        differences.append(profits[0] - profits[1])
    tail = (1 - policy.confidence) / 2
    low, high = np.quantile(np.concatenate(differences), [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def _resample(truth: Floats, count: int, random: np.random.Generator) -> Floats:
    """How often each customer is drawn (count, n), churners and stayers apart."""
    drawn = np.zeros((count, len(truth)))
    for value in (0.0, 1.0):
        members = np.flatnonzero(truth == value)
        picks = random.integers(0, len(members), (count, len(members))) + len(members) * np.arange(count)[:, None]
        counts = np.bincount(picks.ravel(), minlength=count * len(members))
        drawn[:, members] = counts.reshape(count, -1)
    return drawn


def resampled_profits(truth: Floats, scores: Floats, drawn: Floats, economics: RetentionEconomics) -> Floats:
    """The expected maximum profit per customer (b,) where each of n customers counts `drawn` (b, n) times.

    Acceptance has a beta distribution; its range is cut into ACCEPTANCE_NODES equally likely pieces and each stands
    at its mean. The best profit is piecewise linear in acceptance, so only the few pieces with a kink are not exact.
    """
    order, ends = _ends_that_pay(truth, scores)
    taken = np.cumsum(drawn[:, order], axis=1)[:, ends]
    caught = np.cumsum((drawn * truth)[:, order], axis=1)[:, ends]
    costs = (taken - caught) * economics.stayer_cost
    total = np.zeros(len(drawn))
    for churner_profit in economics.churner_profit(_acceptances(economics)):
        total += np.maximum((churner_profit * caught - costs).max(axis=1), 0.0)
    return total / (ACCEPTANCE_NODES * drawn.sum(axis=1))


def _ends_that_pay(truth: Floats, scores: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The order of customers from the highest score down, and the places (k,) after which contacting may best end.

    Only between equal scores with a churner among them and others with a stayer: however often each customer is
    drawn, ending elsewhere never pays more, or contacting nobody does.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.r_[np.flatnonzero(np.diff(scores[order])), len(order) - 1]
    churners = np.diff(np.cumsum(truth[order])[ends], prepend=0.0)
    stayers = np.diff(ends, prepend=-1) - churners
    return order, ends[(churners > 0) & np.r_[stayers[1:] > 0, True]]


def _acceptances(economics: RetentionEconomics) -> Floats:
    alpha, beta_ = economics.acceptance_alpha, economics.acceptance_beta
    edges = beta.ppf(np.linspace(0.0, 1.0, ACCEPTANCE_NODES + 1), alpha, beta_)
    return economics.mean_acceptance * np.diff(beta.cdf(edges, alpha + 1, beta_)) * ACCEPTANCE_NODES


def compare_slices(
    customers: pd.DataFrame, labels: ArrayLike, challenger: ArrayLike, production: ArrayLike, policy: Policy
) -> tuple[SliceDifference, ...]:
    """The paired AUC difference in every slice of SLICE_NAMES, in that order. Raises as `evaluate`."""
    truth, first = checked(labels, challenger)
    _, second = checked(labels, production)
    slices = []
    for name, members in _slices(customers).items():
        churners = int(truth[members].sum())
        stayers = int(members.sum()) - churners
        difference = None
        if min(churners, stayers) >= policy.slice_minimum_class_count:
            difference = auc_difference(truth[members], first[members], second[members], policy.confidence)
        slices.append(SliceDifference(name, churners, stayers, difference))
    return tuple(slices)


def _slices(customers: pd.DataFrame) -> dict[str, Flags]:
    """Which customers (n,) are in which slice; one whose value is unknown is in none of that column."""
    encoder = FeatureEncoder.from_contract()
    column = dict(zip(encoder.names, encoder.encode(customers).T, strict=True))
    slices = {
        f"Contract {name}": column["Contract"] == code for code, name in enumerate(BY_NAME["Contract"].categories)
    }
    slices |= {f"SeniorCitizen {value}": column["SeniorCitizen"] == value for value in (0, 1)}
    tenure = column["tenure"]
    for first, last in TENURE_BANDS:
        within = (tenure >= first) & (tenure < np.inf if last is None else tenure <= last)
        slices[f"tenure {first} to {last} months" if last else f"tenure from {first} months"] = within
    return slices


SLICE_NAMES = tuple(_slices(pd.DataFrame()))
