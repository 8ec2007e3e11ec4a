"""The search for good parameters: a sequence of trials that depends on what it learns from, and on nothing else.

Optuna's TPE (Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011) proposes, and a trial whose
first folds are worse than the median of those before it is given up. A trial is a function of the trials before it:
a search that was killed goes on from what was kept, and ends as if nobody had disturbed it.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from churn.core.candidates import DEFAULT_PARAMETERS, Kind, Parameters, fit_candidate
from churn.core.evaluation import log_loss
from churn.core.features import FeatureEncoder, Matrix
from churn.core.model import ChurnModel
from churn.core.splits import Fold

STARTUP_TRIALS = 8  # drawn at random before TPE proposes
COMPARED_TRIALS = 4  # whole ones before any is given up

Space = dict[str, BaseDistribution]

# Trees stay small (up to 8 splits): larger ones are no better on data of this kind, and small ones can be compiled to
# tables, so that a million customers are scored and given their reasons in seconds (core.engines, core.contributions).
SPACES: dict[Kind, Space] = {
    "lightgbm": {
        "rounds": IntDistribution(150, 600, step=50),
        "num_leaves": IntDistribution(3, 9),
        "learning_rate": FloatDistribution(0.01, 0.08, log=True),
        "min_child_samples": IntDistribution(10, 160, log=True),
        "feature_fraction": FloatDistribution(0.3, 1.0),
        "lambda_l2": FloatDistribution(0.1, 100.0, log=True),
        "tenure_constraint": CategoricalDistribution(("none", "decreasing")),
    },
    "xgboost": {
        "rounds": IntDistribution(150, 600, step=50),
        "max_depth": IntDistribution(2, 3),
        "eta": FloatDistribution(0.01, 0.1, log=True),
        "min_child_weight": FloatDistribution(1.0, 50.0, log=True),
        "colsample_bytree": FloatDistribution(0.3, 1.0),
        "subsample": FloatDistribution(0.5, 1.0),
        "lambda": FloatDistribution(0.1, 100.0, log=True),
        "tenure_constraint": CategoricalDistribution(("none", "decreasing")),
    },
    "random_forest": {
        "min_samples_leaf": IntDistribution(5, 60, log=True),
        "max_features": FloatDistribution(0.1, 0.6),
    },
    "logistic": {"C": FloatDistribution(0.001, 10.0, log=True)},
}


@dataclass(frozen=True)
class Rows:
    """What is learned from and judged in a search: an encoded (n, features) matrix and its labels (n,) of 0 and 1."""

    encoder: FeatureEncoder
    matrix: Matrix
    labels: NDArray[np.int8]

    def take(self, positions: NDArray[np.intp]) -> "Rows":
        """The rows at these positions."""
        return Rows(self.encoder, self.matrix[positions], self.labels[positions])


@dataclass(frozen=True)
class Trial:
    """One set of parameters and the log loss of each fold that was judged; a pruned trial has not judged all of them.

    Trial 0 has the project's own parameters (candidates.DEFAULT_PARAMETERS). `seconds` is how long it took.
    """

    number: int
    parameters: dict[str, Any]
    fold_losses: tuple[float, ...]
    pruned: bool
    seconds: float

    @property
    def mean_loss(self) -> float:
        """The mean log loss over the folds that were judged."""
        return float(np.mean(self.fold_losses))


def search(
    kind: Kind, rows: Rows, folds: Sequence[Fold], seed: int, past: Sequence[Trial], trial_count: int, seconds: float
) -> Iterator[Trial]:
    """Try parameters until there are `trial_count` trials, or until all of them together took `seconds`.

    `past` are the trials that an earlier search over the same rows and folds came to; each new one is yielded as soon
    as it is known, so whoever keeps them can go on from there.
    """
    study = _study_of(kind, past)
    spent = sum(trial.seconds for trial in past)
    for number in range(len(past), trial_count):
        if number and spent >= seconds:
            return
        trial = _try(study, kind, rows, folds, seed, number)
        spent += trial.seconds
        yield trial


def best_trial(trials: Sequence[Trial]) -> Trial:
    """The whole trial with the lowest mean log loss, if it beats the project's own parameters beyond its noise.

    That is by more than the standard error of the difference over the folds; else trial 0: the best of many tries is
    flattered by the choice. Raises ValueError without trial 0.
    """
    own = next((trial for trial in trials if trial.number == 0), None)
    if own is None or own.pruned:
        raise ValueError("a search begins with the project's own parameters")
    best = min((trial for trial in trials if not trial.pruned), key=lambda trial: (trial.mean_loss, trial.number))
    gains = np.subtract(own.fold_losses, best.fold_losses)
    return best if gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)) else own


def out_of_fold_scores(
    kind: Kind, rows: Rows, folds: Sequence[Fold], seed: int, parameters: Parameters
) -> NDArray[np.float64]:
    """Uncalibrated scores (n,), each from a model that was not trained on its row."""
    scores = np.full(len(rows.labels), np.nan)
    for training, judging in folds:
        scores[judging] = _fit(kind, rows.take(training), seed, parameters).raw_probabilities(rows.matrix[judging])
    return scores


def _fit(kind: Kind, rows: Rows, seed: int, parameters: Parameters) -> ChurnModel:
    return ChurnModel(kind, rows.encoder, fit_candidate(kind, rows.encoder, rows.matrix, rows.labels, seed, parameters))


def _try(study: optuna.Study, kind: Kind, rows: Rows, folds: Sequence[Fold], seed: int, number: int) -> Trial:
    started = time.perf_counter()
    # A sampler of its own for each trial: what it draws depends on the number, not on how the search came here.
    study.sampler = optuna.samplers.TPESampler(seed=seed + number, n_startup_trials=STARTUP_TRIALS)
    if number == 0:
        study.enqueue_trial(_own_parameters(kind))
    asked = study.ask(SPACES[kind])
    losses: list[float] = []
    for step, (training, judging) in enumerate(folds):
        scores = _fit(kind, rows.take(training), seed, asked.params).raw_probabilities(rows.matrix[judging])
        losses.append(log_loss(rows.labels[judging], scores))
        asked.report(float(np.mean(losses)), step)
        if number and step + 1 < len(folds) and asked.should_prune():
            break
    pruned = len(losses) < len(folds)
    study.tell(asked, None if pruned else float(np.mean(losses)), TrialState.PRUNED if pruned else TrialState.COMPLETE)
    return Trial(number, dict(asked.params), tuple(losses), pruned, time.perf_counter() - started)


def _study_of(kind: Kind, past: Sequence[Trial]) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=COMPARED_TRIALS)
    study = optuna.create_study(direction="minimize", pruner=pruner)
    study.add_trials([_as_optuna(kind, trial) for trial in past])
    return study


def _as_optuna(kind: Kind, trial: Trial) -> FrozenTrial:
    return optuna.create_trial(
        state=TrialState.PRUNED if trial.pruned else TrialState.COMPLETE,
        params=trial.parameters,
        distributions=SPACES[kind],
        value=trial.mean_loss,
        intermediate_values={
            step: float(np.mean(trial.fold_losses[: step + 1])) for step in range(len(trial.fold_losses))
        },
    )


def _own_parameters(kind: Kind) -> dict[str, Any]:
    return {name: DEFAULT_PARAMETERS[kind][name] for name in SPACES[kind]}
