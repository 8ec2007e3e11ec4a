"""Calibration: from an estimator's score to the probability it stands for. It travels inside the model.

To apply one takes numpy and scipy; only to fit one takes scikit-learn. Each score is mapped by itself, by scalar
arithmetic: the same bits whatever scores are around it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Method = Literal["none", "platt", "isotonic"]
METHODS: tuple[Method, ...] = get_args(Method)  # the simplest first: 0, 2 and any number of parameters

Scores = NDArray[np.float64]

# Nearer to 0 or 1 than this a score is taken for this: log odds and log losses stay finite.
SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Calibration:
    """A map from scores in 0..1 to probabilities in 0..1 that never puts a higher score below a lower one.

    "none" gives the score itself. "platt" gives expit(slope * logit(score) + intercept). "isotonic" goes straight
    from knot to knot, each a score and its probability, and is constant outside. Raises ValueError for a slope
    that is not above 0, for knots that do not rise, and for numbers that are not finite or not in 0..1.
    """

    method: Method = "none"
    slope: float = 1.0
    intercept: float = 0.0
    knot_scores: tuple[float, ...] = ()
    knot_probabilities: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"a calibration is one of {', '.join(METHODS)}, not {self.method}")
        if not (math.isfinite(self.slope) and math.isfinite(self.intercept) and self.slope > 0):
            raise ValueError(f"slope {self.slope} and intercept {self.intercept} are not of a rising calibration")
        if self.method == "isotonic":
            _require_knots(self.knot_scores, self.knot_probabilities)

    @classmethod
    def none(cls) -> "Calibration":
        """The calibration that leaves every score as it is."""
        return cls()

    def apply(self, scores: Scores) -> Scores:
        """The probabilities (n,) of scores (n,); NaN stays NaN."""
        if self.method == "platt":
            from scipy.special import expit

            # scipy's loops are scalar; numpy's exp and log may give a number other last bits at another position.
            return expit(self.slope * log_odds(scores) + self.intercept)
        if self.method == "isotonic":
            between = np.interp(scores, self.knot_scores, self.knot_probabilities)
            # Rounding must not lift a score between the last two knots above the last.
            return np.clip(between, self.knot_probabilities[0], self.knot_probabilities[-1])
        return scores

    def to_state(self) -> dict[str, Any]:
        """The calibration as JSON values; `json` writes a float so that it reads back the same."""
        if self.method == "platt":
            return {"method": self.method, "slope": self.slope, "intercept": self.intercept}
        if self.method == "isotonic":
            knots = {"knot_scores": [*self.knot_scores], "knot_probabilities": [*self.knot_probabilities]}
            return {"method": self.method, **knots}
        return {"method": self.method}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Calibration":
        """Read what `to_state` wrote. Raises ValueError where it is anything else."""
        try:
            method = state["method"]
            if method == "platt":
                slope, intercept = _numbers([state["slope"], state["intercept"]])
                return cls(method, slope, intercept)
            if method == "isotonic":
                knots = _numbers(state["knot_scores"]), _numbers(state["knot_probabilities"])
                return cls(method, knot_scores=knots[0], knot_probabilities=knots[1])
            return cls(method)
        except (TypeError, KeyError, OverflowError) as error:
            raise ValueError(f"not the state of a calibration: {error!r}") from error


def log_odds(scores: Scores) -> Scores:
    """The log odds (n,) of scores (n,) in 0..1, finite: those of SMALLEST_PROBABILITY at the ends."""
    from scipy.special import logit

    return logit(np.clip(scores, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY))


def fit_calibration(method: Method, labels: ArrayLike, out_of_fold_scores: ArrayLike) -> Calibration:
    """Fit one method to labels (n,), 1 for churners, and the scores (n,) of models that had not seen them.

    "platt" is maximum likelihood with Platt's targets, (N+ + 1) / (N+ + 2) and 1 / (N- + 2) in place of 1 and 0
    (Platt 1999): the fit stays finite where scores part the classes. Where it would not rise it is `none`.
    "isotonic" keeps its probabilities at least 1 / (n + 2) away from 0 and 1 (Laplace's rule of succession): n
    customers do not show that something is certain, and one surprise would cost an infinite log loss.
    Raises ValueError where labels are not 0 and 1, scores not in 0..1, or the two not of one length.
    """
    targets, scores = _checked(labels, out_of_fold_scores)
    if method == "platt":
        return _fit_platt(targets, scores)
    return _fit_isotonic(targets, scores) if method == "isotonic" else Calibration(method)


def choose_calibration(
    labels: ArrayLike, out_of_fold_scores: ArrayLike, fold_count: int = 5, seed: int = 0
) -> Calibration:
    """Choose a method by its log loss on folds it was not fitted to, then fit it to all of them.

    The simplest method is taken that is at most one standard error worse than the best one (Breiman et al. 1984).
    The error is that of the mean difference between the two losses of each customer: the methods judge the same
    customers, so what is hard about a customer cancels out. A tie, and a gain that noise explains, go to the
    simpler method: it has less to overfit, and `none` and `platt` keep scores apart that `isotonic` levels.
    Raises ValueError like `held_out_losses`.
    """
    losses = held_out_losses(labels, out_of_fold_scores, fold_count, seed)
    best = min(METHODS, key=lambda method: losses[method].mean())
    chosen = next(method for method in METHODS if _is_no_worse(losses[method] - losses[best]))
    return fit_calibration(chosen, labels, out_of_fold_scores)


def held_out_losses(
    labels: ArrayLike, out_of_fold_scores: ArrayLike, fold_count: int = 5, seed: int = 0
) -> dict[Method, Scores]:
    """The log loss (n,), in nats, of each customer under each method fitted to the other folds.

    Raises ValueError as `fit_calibration` does, and where a class has fewer customers than there are folds.
    """
    from sklearn.model_selection import StratifiedKFold

    targets, scores = _checked(labels, out_of_fold_scores)
    if min(targets.sum(), (1 - targets).sum()) < fold_count:
        raise ValueError(f"{fold_count} folds need {fold_count} customers of each class")
    losses = {method: np.empty(len(scores)) for method in METHODS}
    folds = StratifiedKFold(fold_count, shuffle=True, random_state=seed)
    for fitting, judging in folds.split(scores, targets):
        for method in METHODS:
            calibration = fit_calibration(method, targets[fitting], scores[fitting])
            losses[method][judging] = _log_losses(targets[judging], calibration.apply(scores[judging]))
    return losses


def _is_no_worse(differences: Scores) -> bool:
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    return bool(differences.mean() <= error)


def _log_losses(labels: Scores, probabilities: Scores) -> Scores:
    given = np.where(labels == 1, probabilities, 1 - probabilities)
    return -np.log(np.clip(given, SMALLEST_PROBABILITY, None))


def _fit_platt(labels: Scores, scores: Scores) -> Calibration:
    from scipy.optimize import minimize
    from scipy.special import expit

    churners = labels.sum()
    targets = np.where(labels == 1, (churners + 1) / (churners + 2), 1 / (len(labels) - churners + 2))
    inputs = np.column_stack([log_odds(scores), np.ones(len(scores))])

    def loss(line: Scores) -> tuple[float, Scores]:
        outputs = inputs @ line
        slopes = (expit(outputs) - targets) @ inputs / len(targets)
        return float(np.mean(np.logaddexp(0, outputs) - targets * outputs)), slopes

    def curvature(line: Scores) -> Scores:
        probabilities = expit(inputs @ line)
        return (inputs.T * (probabilities * (1 - probabilities))) @ inputs / len(targets)

    found = minimize(loss, (1.0, 0.0), jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-8})
    slope, intercept = found.x.tolist()
    # Falling: these scores rank customers the wrong way round, and that is no matter for a calibration.
    return Calibration("platt", slope, intercept) if found.success and slope > 0 else Calibration.none()


def _fit_isotonic(labels: Scores, scores: Scores) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression().fit(scores, labels)
    nearest = 1 / (len(labels) + 2)
    probabilities = np.clip(fitted.y_thresholds_, nearest, 1 - nearest)
    return Calibration(
        "isotonic",
        knot_scores=tuple(fitted.X_thresholds_.tolist()),
        knot_probabilities=tuple(probabilities.tolist()),
    )


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[Scores, Scores]:
    targets, numbers = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    if targets.ndim != 1 or targets.shape != numbers.shape or not len(targets):
        raise ValueError(f"labels {targets.shape} and scores {numbers.shape} are not of the same customers")
    if not np.isin(targets, (0, 1)).all() or not ((numbers >= 0) & (numbers <= 1)).all():
        raise ValueError("labels must be 0 or 1, and scores in 0..1")
    return targets, numbers


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        raise TypeError("a calibration is made of numbers")
    return tuple(float(value) for value in values)


def _require_knots(scores: tuple[float, ...], probabilities: tuple[float, ...]) -> None:
    if not scores or len(scores) != len(probabilities):
        raise ValueError("an isotonic calibration has as many probabilities as scores, and at least one")
    x, y = np.array(scores), np.array(probabilities)
    if not ((x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)).all():  # False for NaN, too
        raise ValueError("the knots of an isotonic calibration are in 0..1")
    if not ((np.diff(x) > 0).all() and (np.diff(y) >= 0).all()):
        raise ValueError("the knots of an isotonic calibration do not rise")
