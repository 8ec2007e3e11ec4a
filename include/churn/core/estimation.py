"""What a candidate is worth on rows it has not seen: repeated nested cross-validation.

In each outer fold everything that learns is done anew on the training rows alone: the search for parameters, the choice
of a calibration, the fit. So the estimate is that of the whole way to a model, and no choice was made on a judged row
(Cawley and Talbot, "On Over-fitting in Model Selection and Subsequent Selection Bias in Performance Evaluation",
Journal of Machine Learning Research 11, 2010).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from churn.core.calibration import Calibration, Method, choose_calibration
from churn.core.candidates import Kind, fit_candidate
from churn.core.engines import CannotCompile, compiled_engine, reference_engine
from churn.core.evaluation import corrected_interval, evaluate
from churn.core.features import Matrix
from churn.core.model import ChurnModel
from churn.core.profit import RetentionEconomics, expected_maximum_profit
from churn.core.search import Rows, Trial, best_trial, out_of_fold_scores
from churn.core.splits import Fold, grouped_folds
from churn.policy import Policy
from churn.records import Evaluation, Interval

# Finds the trials of a search over some rows, folds and number of trials: see search.search.
Searcher = Callable[[Rows, Sequence[Fold], int], Sequence[Trial]]
Groups = NDArray[np.intp]

_BASELINE = {
    "num_leaves": 6,
    "learning_rate": 0.03,
    "min_child_samples": 40,
    "feature_fraction": 0.5,
    "lambda_l2": 10.0,
    "objective": "binary",
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
_BASELINE_ROUNDS = 300


@dataclass(frozen=True)
class Recipe:
    """How a model of one kind is made: its parameters, and the calibration of its scores."""

    parameters: dict[str, Any]
    calibration: Calibration


@dataclass(frozen=True)
class JudgedFold:
    """One outer fold: what was chosen on its training rows, and what that achieved on its judged rows.

    `expected_profit` is the expected maximum profit per customer.
    """

    repeat: int
    fold: int
    parameters: dict[str, Any]
    calibration: Method
    evaluation: Evaluation
    expected_profit: float


@dataclass(frozen=True)
class CandidateEstimate:
    """How a model of one kind is best made of all development rows, and what models made that way are worth.

    `folds` are the outer folds of every repeat; `probabilities` (repeats, n) are calibrated and out of fold, aligned
    with the development rows. `rows_a_second` is how fast one thread of this machine answers with what would serve.
    """

    kind: Kind
    recipe: Recipe
    folds: tuple[JudgedFold, ...]
    probabilities: NDArray[np.float64]
    rows_a_second: float


def interval(folds: Sequence[JudgedFold], name: str, policy: Policy) -> Interval:
    """The mean over outer folds of a measure, see `measure`, with its corrected interval."""
    return corrected_interval([measure(fold, name) for fold in folds], 1 / policy.fold_count, policy.confidence)


def measure(fold: JudgedFold, name: str) -> float:
    """One measure of an outer fold: a field of Evaluation, or "expected_profit"."""
    if name == "expected_profit":
        return fold.expected_profit
    value = getattr(fold.evaluation, name)
    return float(value.value if isinstance(value, Interval) else value)


def outer_folds(labels: NDArray[np.int8], groups: Groups, policy: Policy) -> list[list[Fold]]:
    """For each repeat its outer folds: the same ones for every candidate."""
    return [
        grouped_folds(labels, groups, policy.fold_count, policy.seed + 1 + repeat)
        for repeat in range(policy.nested_repeat_count)
    ]


def estimate_candidate(
    kind: Kind,
    rows: Rows,
    groups: Groups,
    policy: Policy,
    search: Searcher,
    inner_search: Searcher,
    on_fold: Callable[[JudgedFold], None] = lambda fold: None,
) -> CandidateEstimate:
    """Find the recipe of one kind on all rows, and judge the finding of recipes by nested cross-validation.

    `groups` (n,) are of rows that stay on one side of every split; `search` finds the trials over all rows,
    `inner_search` those inside an outer fold; `on_fold` is told each outer fold once it is judged. Raises
    NothingToTrainOn where a fold holds one class only.
    """
    recipe = find_recipe(kind, rows, groups, policy, policy.search_trial_count, search)
    repeats = outer_folds(rows.labels, groups, policy)
    probabilities = np.full((len(repeats), len(rows.labels)), np.nan)
    judged = []
    for repeat, folds in enumerate(repeats):
        for number, (training, judging) in enumerate(folds):
            known = rows.take(training)
            chosen = find_recipe(kind, known, groups[training], policy, policy.nested_trial_count, inner_search)
            answers = fit(kind, known, chosen, policy.seed).probabilities(rows.matrix[judging])
            probabilities[repeat, judging] = answers
            judged.append(_judged(repeat, number, chosen, rows.labels[judging], answers, policy))
            on_fold(judged[-1])
    speed = _rows_a_second(fit(kind, rows, recipe, policy.seed), rows.matrix)
    return CandidateEstimate(kind, recipe, tuple(judged), probabilities, speed)


def blend(estimates: Sequence[CandidateEstimate], rows: Rows, groups: Groups, policy: Policy) -> list[JudgedFold]:
    """The outer folds of the mean of all candidates' probabilities: what is left for an ensemble to gain."""
    mean = np.mean([estimate.probabilities for estimate in estimates], axis=0)
    blended = Recipe({}, Calibration.none())
    return [
        _judged(repeat, number, blended, rows.labels[judging], mean[repeat, judging], policy)
        for repeat, folds in enumerate(outer_folds(rows.labels, groups, policy))
        for number, (_, judging) in enumerate(folds)
    ]


def _judged(
    repeat: int, number: int, recipe: Recipe, labels: NDArray[np.int8], answers: NDArray[np.float64], policy: Policy
) -> JudgedFold:
    profit = expected_maximum_profit(labels, answers, RetentionEconomics.from_policy(policy)).amount
    evaluation = evaluate(labels, answers, policy.confidence)
    return JudgedFold(repeat, number, recipe.parameters, recipe.calibration.method, evaluation, profit)


def find_recipe(kind: Kind, rows: Rows, groups: Groups, policy: Policy, trial_count: int, search: Searcher) -> Recipe:
    """Search parameters on some rows, and choose the calibration on the out-of-fold scores of the best trial."""
    folds = grouped_folds(rows.labels, groups, policy.search_fold_count, policy.seed)
    best = best_trial(search(rows, folds, trial_count))
    scores = out_of_fold_scores(kind, rows, folds, policy.seed, best.parameters)
    return Recipe(best.parameters, choose_calibration(rows.labels, scores, seed=policy.seed))


def fit(kind: Kind, rows: Rows, recipe: Recipe, seed: int) -> ChurnModel:
    """Make a model on all of some rows."""
    estimator = fit_candidate(kind, rows.encoder, rows.matrix, rows.labels, seed, recipe.parameters)
    return ChurnModel(kind, rows.encoder, estimator, recipe.calibration)


def _rows_a_second(model: ChurnModel, matrix: Matrix) -> float:
    """The best of three: whatever else the machine does makes it slower, never faster."""
    try:
        engine = compiled_engine(model)
    except CannotCompile:
        engine = reference_engine(model)
    engine.probabilities(matrix)  # what is compiled for the first call is not its speed
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        engine.probabilities(matrix)
        seconds.append(time.perf_counter() - started)
    return len(matrix) / min(seconds)


def baseline_aucs(rows: Rows, groups: Groups, policy: Policy) -> list[float]:
    """The ROC-AUC in each outer fold of a plain LightGBM with fixed, regularised parameters: the yardstick.

    It has no search, no calibration and no blanked copies; a candidate that is clearly below it has a fault.
    """
    return [
        _baseline_auc(rows.take(training), rows.take(judging), policy)
        for folds in outer_folds(rows.labels, groups, policy)
        for training, judging in folds
    ]


def _baseline_auc(training: Rows, judging: Rows, policy: Policy) -> float:
    import lightgbm

    data = lightgbm.Dataset(training.matrix, training.labels)
    booster = lightgbm.train({**_BASELINE, "seed": policy.seed}, data, num_boost_round=_BASELINE_ROUNDS)
    return evaluate(judging.labels, booster.predict(judging.matrix), policy.confidence).roc_auc.value
