"""Which candidate is registered: the statistics of a comparison on the same rows, not the best of four numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from churn.core.candidates import CANDIDATES, Kind
from churn.core.comparison import profit_difference
from churn.core.estimation import CandidateEstimate, interval
from churn.core.evaluation import auc_difference
from churn.policy import Policy
from churn.records import Interval

AS_FAST = 0.5  # of the fastest: on a busy machine less than a factor of two is no difference


@dataclass(frozen=True)
class Standing:
    """One candidate in the comparison.

    `roc_auc` and `expected_profit` are over all outer folds; the differences are the candidate's minus those of the
    best by AUC, and of the best by profit among the remaining, on the same out-of-fold rows; None where it is not
    compared. `verdict` says in words why it is chosen or not.
    """

    kind: Kind
    roc_auc: Interval
    expected_profit: Interval
    auc_difference: Interval | None
    profit_difference: Interval | None
    rows_a_second: float
    verdict: str


@dataclass(frozen=True)
class Choice:
    """The chosen kind, and how every candidate stood."""

    kind: Kind
    standings: tuple[Standing, ...]


def choose_candidate(estimates: Sequence[CandidateEstimate], labels: NDArray[np.int8], policy: Policy) -> Choice:
    """Choose among candidates that were judged on the same rows, whose `labels` (n,) are given.

    Those whose AUC is below the best one's beyond chance (paired interval, DeLong) are out; of the rest, those whose
    expected maximum profit is below the best one's beyond chance (paired bootstrap); of the rest, those that answer
    less than half as fast as the fastest; the first in CANDIDATES of the rest is chosen. Intervals are of the first
    repeat, in which each row is judged once. Raises ValueError where there is nothing to choose from, or a probability
    is missing.
    """
    if not estimates or any(np.isnan(estimate.probabilities).any() for estimate in estimates):
        raise ValueError("every candidate must have a probability for every row")
    best = max(estimates, key=lambda each: _mean(each, "roc_auc", policy))
    by_auc = {
        each.kind: auc_difference(labels, each.probabilities[0], best.probabilities[0], policy.confidence)
        for each in estimates
        if each is not best
    }
    ranking = _not_below(estimates, by_auc)
    richest = max(ranking, key=lambda each: _mean(each, "expected_profit", policy))
    by_profit = {
        each.kind: profit_difference(labels, each.probabilities[0], richest.probabilities[0], policy)
        for each in ranking
        if each is not richest
    }
    paying = _not_below(ranking, by_profit)
    fastest = max(each.rows_a_second for each in paying)
    fast = [each for each in paying if each.rows_a_second >= AS_FAST * fastest]
    chosen = min(fast, key=lambda each: CANDIDATES.index(each.kind))
    verdicts = dict.fromkeys((each.kind for each in estimates), f"ranks worse than {best.kind} beyond chance")
    verdicts |= dict.fromkeys((each.kind for each in ranking), f"earns less than {richest.kind} beyond chance")
    verdicts |= dict.fromkeys((each.kind for each in paying), "as good, but slower")
    verdicts |= dict.fromkeys((each.kind for each in fast), "as good and as fast")
    verdicts[chosen.kind] = "chosen"
    return Choice(
        chosen.kind,
        tuple(
            Standing(
                kind=each.kind,
                roc_auc=interval(each.folds, "roc_auc", policy),
                expected_profit=interval(each.folds, "expected_profit", policy),
                auc_difference=by_auc.get(each.kind),
                profit_difference=by_profit.get(each.kind),
                rows_a_second=each.rows_a_second,
                verdict=verdicts[each.kind],
            )
            for each in estimates
        ),
    )


def _mean(estimate: CandidateEstimate, name: str, policy: Policy) -> float:
    return interval(estimate.folds, name, policy).value


def _not_below(estimates: Sequence[CandidateEstimate], differences: Mapping[Kind, Interval]) -> list[CandidateEstimate]:
    """Those whose difference to the best reaches zero; the best itself has none."""
    return [each for each in estimates if each.kind not in differences or differences[each.kind].high >= 0]
