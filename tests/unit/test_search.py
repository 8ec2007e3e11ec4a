"""The search: a trial depends on the trials before it and on nothing else."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from churn.core import search
from churn.core.candidates import CANDIDATES, DEFAULT_PARAMETERS, Kind
from churn.core.search import Rows, Trial
from churn.core.splits import grouped_folds
from churn.core.training import TrainingData, encoded
from churn.simulator import simulate

DATA = TrainingData.from_extract(pd.concat(list(simulate(800, seed=3)), ignore_index=True), date(2026, 11, 1), "0" * 64)
ROWS: Rows = encoded(DATA)
FOLDS = grouped_folds(DATA.labels, DATA.groups, 3, 1)


def tried(count: int, past: list[Trial] | None = None, kind: Kind = "logistic", seconds: float = 60) -> list[Trial]:
    known = past or []
    return [*known, *search.search(kind, ROWS, FOLDS, 7, known, count, seconds)]


def without_time(trials: list[Trial]) -> list[Trial]:
    return [replace(trial, seconds=0) for trial in trials]


@pytest.mark.parametrize("kind", ["logistic", "xgboost"])
def test_a_search_that_goes_on_ends_as_one_that_was_never_stopped(kind: Kind) -> None:
    whole = tried(14, kind=kind)

    for kept in (1, 6, 13):
        assert without_time(tried(14, whole[:kept], kind)) == without_time(whole)


def test_a_larger_budget_goes_on_where_a_smaller_one_ended() -> None:
    assert without_time(tried(12, tried(5))) == without_time(tried(12))
    assert tried(3, whole := tried(5)) == whole


@pytest.mark.parametrize("kind", CANDIDATES)
def test_the_first_trial_has_the_projects_own_parameters(kind: Kind) -> None:
    (first,) = tried(1, kind=kind)

    assert first.number == 0
    assert not first.pruned
    assert len(first.fold_losses) == 3
    assert first.parameters == {name: DEFAULT_PARAMETERS[kind][name] for name in search.SPACES[kind]}


def test_trials_that_begin_badly_are_given_up() -> None:
    trials = tried(20)
    pruned = [trial for trial in trials if trial.pruned]

    assert pruned
    assert all(len(trial.fold_losses) < 3 for trial in pruned)
    assert all(len(trial.fold_losses) == 3 for trial in trials if not trial.pruned)
    assert len({tuple(trial.parameters.values()) for trial in trials}) == 20


def test_time_that_was_used_up_begins_no_further_trial() -> None:
    slow = [replace(trial, seconds=30.0) for trial in tried(3)]

    assert tried(9, slow, seconds=90) == slow
    assert len(tried(9, seconds=1e-9)) == 1  # the project's own parameters are always tried


def trial(number: int, *losses: float, pruned: bool = False) -> Trial:
    return Trial(number, {"C": float(number)}, losses, pruned, 1.0)


def test_the_best_trial_must_beat_the_projects_own_parameters_beyond_noise() -> None:
    own = trial(0, 0.40, 0.42, 0.44)
    lucky = trial(1, 0.36, 0.43, 0.45)  # better on the mean, by one fold
    better = trial(2, 0.39, 0.41, 0.43)
    given_up = trial(3, 0.10, pruned=True)

    assert search.best_trial([own, lucky, given_up]) is own
    assert search.best_trial([own, better, given_up]) is better
    assert search.best_trial([own, trial(1, 0.40, 0.42, 0.44)]) is own
    with pytest.raises(ValueError, match="own parameters"):
        search.best_trial([better])


def test_out_of_fold_scores_are_of_models_that_have_not_seen_their_row() -> None:
    """A model that remembers would answer memorised labels; out of fold there is nothing to remember."""
    labels = np.random.default_rng(2).permutation(DATA.labels)
    remembering = {"min_samples_leaf": 1, "max_features": 1.0, "n_estimators": 20}

    scores = search.out_of_fold_scores(
        "random_forest", replace(ROWS, labels=labels), FOLDS, 1, {**DEFAULT_PARAMETERS["random_forest"], **remembering}
    )

    assert np.isfinite(scores).all()
    assert abs(np.corrcoef(scores, labels)[0, 1]) < 0.15


def test_with_falling_tenure_staying_longer_is_never_more_risk() -> None:
    longer = np.arange(0.0, 73.0)
    place = ROWS.encoder.names.index("tenure")
    rows = np.repeat(ROWS.matrix[:1], len(longer), axis=0)
    rows[:, place] = longer
    from churn.core.training import fit_model
    from churn.policy import Policy

    for kind in ("lightgbm", "xgboost"):
        free, falling = (
            fit_model(kind, DATA, Policy(), {"tenure_constraint": constraint}).probabilities(rows)
            for constraint in ("none", "decreasing")
        )
        assert (np.diff(free) > 0).any()
        assert (np.diff(falling) <= 1e-7).all()
