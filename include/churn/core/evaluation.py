"""What a model is worth on rows it was not trained on, with intervals that know how many rows there were.

The AUC's variance is DeLong's (DeLong, DeLong & Clarke-Pearson 1988) in the O(n log n) form of Sun & Xu,
"Fast Implementation of DeLong's Algorithm", IEEE Signal Processing Letters 21(11), 2014.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata
from scipy.stats import t as student

from churn.errors import NothingToTrainOn
from churn.records import Evaluation, Interval

CALIBRATION_BINS = 10
SMALLEST_PROBABILITY = 1e-15  # keeps the logarithm finite

Floats = NDArray[np.float64]


def evaluate(labels: ArrayLike, probabilities: ArrayLike, confidence: float) -> Evaluation:
    """Judge probabilities (n,) against labels (n,) of 0 and 1.

    Raises ValueError where lengths differ or a value is NaN or out of range, NothingToTrainOn where one of
    the classes is absent.
    """
    truth, scores = checked(labels, probabilities)
    return Evaluation(
        row_count=len(truth),
        churn_rate=float(truth.mean()),
        roc_auc=auc_interval(truth, scores, confidence),
        pr_auc=average_precision(truth, scores),
        brier=float(np.mean((scores - truth) ** 2)),
        log_loss=log_loss(truth, scores),
        calibration_error=calibration_error(truth, scores),
        lift_10=capture(truth, scores, 0.10) / 0.10,
        capture_20=capture(truth, scores, 0.20),
    )


def auc_interval(labels: ArrayLike, probabilities: ArrayLike, confidence: float) -> Interval:
    """The ROC-AUC with its DeLong interval, clipped to 0..1. Raises as `evaluate`.

    With fewer than two churners or two stayers the ends are NaN: nothing is known about how they vary.
    """
    area, deviation = _auc(labels, probabilities)
    margin = _normal_quantile(confidence) * deviation
    low, high = np.clip([area - margin, area + margin], 0.0, 1.0)
    return Interval(area, float(low), float(high))


def unpaired_auc_difference(
    challenger: tuple[ArrayLike, ArrayLike], production: tuple[ArrayLike, ArrayLike], confidence: float
) -> Interval:
    """The AUC of `challenger` minus that of `production` on other rows, each (labels (n,), probabilities (n,)).

    The rows are independent, so the variances add up. Raises as `evaluate`; the ends are NaN as in `auc_interval`.
    """
    (first, first_deviation), (second, second_deviation) = _auc(*challenger), _auc(*production)
    margin = _normal_quantile(confidence) * float(np.hypot(first_deviation, second_deviation))
    return Interval(first - second, first - second - margin, first - second + margin)


def auc_difference(labels: ArrayLike, challenger: ArrayLike, production: ArrayLike, confidence: float) -> Interval:
    """The AUC of `challenger` minus that of `production` on the same rows, with the paired DeLong interval.

    Raises as `evaluate`; the ends are NaN as in `auc_interval`.
    """
    truth, first = checked(labels, challenger)
    _, second = checked(labels, production)
    aucs, covariance = _delong(truth, np.vstack([first, second]))
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    margin = _normal_quantile(confidence) * float(np.sqrt(np.maximum(0.0, variance)))
    difference = float(aucs[0] - aucs[1])
    return Interval(difference, difference - margin, difference + margin)


def corrected_interval(values: ArrayLike, judged_share: float, confidence: float) -> Interval:
    """The mean of a measure (k,) over the folds of a repeated cross-validation, with its corrected t interval.

    Folds share their training rows, so their plain variance is far too small: Nadeau and Bengio, "Inference for the
    Generalization Error", Machine Learning 52, 2003. `judged_share` is that of the rows that a fold judges (0..1).
    Raises ValueError for fewer than two values.
    """
    measured = np.asarray(values, np.float64)
    if measured.ndim != 1 or len(measured) < 2:
        raise ValueError("an interval needs the measures of at least two folds")
    variance = (1 / len(measured) + judged_share / (1 - judged_share)) * measured.var(ddof=1)
    margin = float(student.ppf(0.5 + confidence / 2, len(measured) - 1) * np.sqrt(variance))
    mean = float(measured.mean())
    return Interval(mean, mean - margin, mean + margin)


def average_precision(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """The area under the precision-recall steps, ties taken together. Raises as `evaluate`."""
    truth, scores = checked(labels, probabilities)
    caught, taken = cumulate(truth, scores)
    steps = np.diff(caught, prepend=0.0) / truth.sum()
    return float(np.sum(steps * caught / taken))


def capture(labels: ArrayLike, probabilities: ArrayLike, share: float) -> float:
    """The share of all churners among the `share` (0..1) of customers with the highest scores.

    Customers with equal scores at the edge count in proportion, so the order of rows does not matter.
    Raises as `evaluate`.
    """
    truth, scores = checked(labels, probabilities)
    caught, taken = cumulate(truth, scores)
    wanted = share * len(truth)
    return float(np.interp(wanted, np.r_[0.0, taken], np.r_[0.0, caught])) / float(truth.sum())


@dataclass(frozen=True)
class Classification:
    """What comes of alarming every customer from a threshold on: rates between 0 and 1."""

    precision: float
    recall: float
    f1: float


def classify(labels: ArrayLike, probabilities: ArrayLike, threshold: float) -> Classification:
    """Precision, recall and their harmonic mean where a probability of at least `threshold` alarms.

    Where nobody is alarmed the precision is 0. Raises as `evaluate`.
    """
    truth, scores = checked(labels, probabilities)
    alarmed = scores >= threshold
    caught = float(truth[alarmed].sum())
    churners = float(truth.sum())
    alarms = float(alarmed.sum())
    return Classification(caught / max(alarms, 1.0), caught / churners, 2 * caught / (alarms + churners))


def calibration_error(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """The expected calibration error: mean |churn rate - mean score| over bins of equal count.

    Raises as `evaluate`.
    """
    truth, scores = checked(labels, probabilities)
    order = np.argsort(scores, kind="stable")
    _, place, count = np.unique(scores[order], return_inverse=True, return_counts=True)
    # Customers with equal scores share their churn rate, so the order of rows does not matter where a bin ends.
    rates = (np.bincount(place, truth[order]) / count)[place]
    gaps = [
        abs(float(rates[rows].sum() - scores[order][rows].sum()))
        for rows in np.array_split(np.arange(len(order)), min(CALIBRATION_BINS, len(order)))
    ]
    return sum(gaps) / len(truth)


@dataclass(frozen=True)
class Decile:
    """A tenth of the customers by their score; decile 1 has the highest. Probability and rate are between 0 and 1."""

    decile: int
    customer_count: int
    mean_probability: float
    churn_rate: float


def deciles(labels: ArrayLike, probabilities: ArrayLike) -> tuple[Decile, ...]:
    """What was said and what became true of each tenth, from the highest scores down; fewer than ten rows give fewer.

    Customers with equal scores share their churn rate, so the order of rows does not matter where a tenth ends.
    Unlike `evaluate` it takes labels of one class. Raises ValueError as `evaluate`.
    """
    truth, scores = _columns(labels, probabilities)
    order = np.argsort(-scores, kind="stable")
    _, place, count = np.unique(scores[order], return_inverse=True, return_counts=True)
    rates = (np.bincount(place, truth[order]) / count)[place]
    tenths = np.array_split(np.arange(len(order)), min(10, len(order)))
    return tuple(
        Decile(number, len(rows), float(scores[order][rows].mean()), float(rates[rows].mean()))
        for number, rows in enumerate(tenths, start=1)
    )


def log_loss(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """The mean negative log likelihood of the labels, in nats; a certain error costs as much as SMALLEST_PROBABILITY.

    Raises as `evaluate`.
    """
    truth, scores = checked(labels, probabilities)
    safe = np.clip(scores, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return float(-np.mean(np.where(truth == 1.0, np.log(safe), np.log1p(-safe))))


def checked(labels: ArrayLike, probabilities: ArrayLike) -> tuple[Floats, Floats]:
    """Labels and probabilities as two equal columns (n,) of floats. Raises as `evaluate`."""
    truth, scores = _columns(labels, probabilities)
    if truth.min(initial=1.0) == truth.max(initial=0.0) or not len(truth):
        raise NothingToTrainOn(
            f"{len(truth)} rows with {int(truth.sum())} churners cannot judge a model.",
            "Admit an extract that holds both churners and stayers.",
        )
    return truth, scores


def _columns(labels: ArrayLike, probabilities: ArrayLike) -> tuple[Floats, Floats]:
    truth, scores = np.asarray(labels, np.float64), np.asarray(probabilities, np.float64)
    if truth.ndim != 1 or truth.shape != scores.shape:
        raise ValueError(f"labels {truth.shape} and probabilities {scores.shape} must be two equal columns")
    if not np.isin(truth, (0.0, 1.0)).all():
        raise ValueError("every label must be 0 or 1")
    if not ((scores >= 0.0) & (scores <= 1.0)).all():  # NaN fails both
        raise ValueError("every probability must be a number from 0 to 1")
    return truth, scores


def _auc(labels: ArrayLike, probabilities: ArrayLike) -> tuple[float, float]:
    """The ROC-AUC and its standard deviation."""
    truth, scores = checked(labels, probabilities)
    aucs, covariance = _delong(truth, scores[None, :])
    return float(aucs[0]), float(np.sqrt(covariance[0, 0]))


def _delong(truth: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """AUCs (k,) and their covariance (k, k) for scores (k, n), by midranks (Sun & Xu, algorithm 2)."""
    churned = truth == 1.0
    m, n = int(churned.sum()), int((~churned).sum())
    among_all = rankdata(scores, axis=1)
    among_churners = rankdata(scores[:, churned], axis=1)
    among_stayers = rankdata(scores[:, ~churned], axis=1)
    # For each churner the share of stayers below it; for each stayer the share of churners above it.
    above_stayers = (among_all[:, churned] - among_churners) / n
    below_churners = 1.0 - (among_all[:, ~churned] - among_stayers) / m
    return above_stayers.mean(axis=1), _covariance(above_stayers) / m + _covariance(below_churners) / n


def _covariance(components: Floats) -> Floats:
    if components.shape[1] < 2:  # one churner tells nothing about how churners vary
        return np.full((len(components), len(components)), np.nan)
    return np.atleast_2d(np.cov(components))


def _normal_quantile(confidence: float) -> float:
    return float(norm.ppf(0.5 + confidence / 2))


def cumulate(truth: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """Churners caught (k,) and customers taken (k,) at each distinct score, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.r_[np.flatnonzero(np.diff(scores[order])), len(order) - 1]
    return np.cumsum(truth[order])[last_of_tie], last_of_tie + 1.0
