"""What a score is worth in money when the customers with the highest scores get a retention offer.

The expected maximum profit measure for customer churn: Verbraken, Verbeke and Baesens, "A Novel Profit Maximizing
Metric for Measuring Classification Performance of Customer Churn Prediction Models", IEEE Transactions on Knowledge
and Data Engineering 25(5), 2013. A churner who is contacted accepts with probability gamma and stays; a stayer who is
contacted takes the offer for nothing. Gamma is not known: it has a beta distribution.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from churn.core.evaluation import checked, cumulate
from churn.policy import Policy

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RetentionEconomics:
    """A retention campaign in amounts per customer: what a customer is worth, the offer, the contact.

    `acceptance_alpha` and `acceptance_beta` shape the beta distribution of the share of churners who accept. Raises
    ValueError where the offer costs as much as the customer is worth: then nobody should be contacted.
    """

    customer_value: float
    offer_cost: float
    contact_cost: float
    acceptance_alpha: float
    acceptance_beta: float

    def __post_init__(self) -> None:
        if not self.offer_cost < self.customer_value:
            raise ValueError("an offer must cost less than the customer is worth")

    @classmethod
    def from_policy(cls, policy: Policy) -> "RetentionEconomics":
        """The amounts that the telecom has decided on."""
        return cls(
            policy.customer_value_amount,
            policy.offer_cost_amount,
            policy.contact_cost_amount,
            policy.acceptance_alpha,
            policy.acceptance_beta,
        )

    @property
    def mean_acceptance(self) -> float:
        """The share of contacted churners who are expected to accept."""
        return self.acceptance_alpha / (self.acceptance_alpha + self.acceptance_beta)

    def churner_profit(self, acceptance: ArrayLike) -> Floats:
        """What a contacted churner brings: the value less the offer if it is accepted, less the contact."""
        return np.asarray(acceptance) * (self.customer_value - self.offer_cost) - self.contact_cost

    @property
    def stayer_cost(self) -> float:
        """What a contacted stayer costs."""
        return self.offer_cost + self.contact_cost


@dataclass(frozen=True)
class ProfitCurve:
    """The profit per customer of the base (k,) when the `contacted_share` (k,) with the highest scores is contacted."""

    contacted_share: Floats
    profit: Floats

    @property
    def best(self) -> int:
        """The position of the highest profit; the first of several."""
        return int(np.argmax(self.profit))


@dataclass(frozen=True)
class ExpectedProfit:
    """The expected maximum profit per customer of the base, and the share that is then expected to be contacted."""

    amount: float
    contacted_share: float


def profit_curve(labels: ArrayLike, probabilities: ArrayLike, economics: RetentionEconomics) -> ProfitCurve:
    """The profit at each distinct score, from contacting nobody to contacting all, at the mean acceptance.

    `labels` (n,) are 1 for churners, `probabilities` (n,) in 0..1. Raises ValueError and NothingToTrainOn as
    `evaluate`.
    """
    truth, scores = checked(labels, probabilities)
    caught, taken = (np.r_[0.0, each] for each in cumulate(truth, scores))
    profit = caught * economics.churner_profit(economics.mean_acceptance) - (taken - caught) * economics.stayer_cost
    return ProfitCurve(taken / len(truth), profit / len(truth))


def expected_maximum_profit(
    labels: ArrayLike, probabilities: ArrayLike, economics: RetentionEconomics
) -> ExpectedProfit:
    """The profit per customer if for each acceptance the best share were contacted, averaged over acceptances.

    Only the corners of the convex hull of the ROC curve are ever best, each for a range of acceptances. Raises as
    `profit_curve`.
    """
    truth, scores = checked(labels, probabilities)
    caught, passed = _hull(truth, scores)
    # A corner becomes better than the one before it from this acceptance on.
    bound = economics.stayer_cost * np.diff(passed) / np.diff(caught) + economics.contact_cost
    bounds = np.clip(bound / (economics.customer_value - economics.offer_cost), 0.0, 1.0)
    edges = np.r_[0.0, bounds, 1.0]
    alpha, beta_ = economics.acceptance_alpha, economics.acceptance_beta
    chance = np.diff(beta.cdf(edges, alpha, beta_))
    accepted = economics.mean_acceptance * np.diff(beta.cdf(edges, alpha + 1, beta_))
    value = economics.customer_value - economics.offer_cost
    costs = caught * economics.contact_cost + passed * economics.stayer_cost
    return ExpectedProfit(
        amount=float(np.sum(caught * value * accepted - costs * chance)),
        contacted_share=float(np.sum((caught + passed) * chance)),
    )


def _hull(truth: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """The corners of the convex hull of the ROC curve as shares of all customers: churners and stayers contacted.

    From (0, 0); every step adds churners, and costs more stayers for each of them than the one before.
    """
    caught, taken = (np.r_[0.0, each] / len(truth) for each in cumulate(truth, scores))
    passed = taken - caught
    corners: list[int] = []
    for point in range(len(caught)):
        while len(corners) > 1 and _turns_left(caught, passed, corners[-2], corners[-1], point):
            corners.pop()
        corners.append(point)
    kept = [corner for place, corner in enumerate(corners) if place == 0 or caught[corner] > caught[corners[place - 1]]]
    return caught[kept], passed[kept]


def _turns_left(caught: Floats, passed: Floats, first: int, middle: int, last: int) -> bool:
    """Whether the middle point lies on or below the line between its neighbours."""
    before = (caught[middle] - caught[first]) * (passed[last] - passed[first])
    after = (caught[last] - caught[first]) * (passed[middle] - passed[first])
    return bool(before <= after)
