"""Searches that are kept: killed, they go on; done, they are not done again."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import mlflow
import pytest

from churn.core import search
from churn.core.search import best_trial
from churn.core.splits import grouped_folds
from churn.core.training import encoded
from churn.db import candidate_estimates, trials
from churn.errors import NotEnoughMemory
from churn.jobs.plan_training import plan_training
from churn.jobs.search_parameters import kept_search, search_key
from churn.jobs.train_candidate import require_memory, train_candidate
from churn.services import Services
from tests.jobs import admit_simulated, lightly, simulated_training

TRIAL_COUNT = 12
DATA = simulated_training(1_200, seed=5)
ROWS = encoded(DATA)

SEARCHING = """
import sys
from churn.core.splits import grouped_folds
from churn.jobs.search_parameters import kept_search
from churn.services import Services
from churn.settings import Settings
from tests.integration.test_kept_search import DATA, ROWS, TRIAL_COUNT

services = Services.from_settings(Settings())
folds = grouped_folds(DATA.labels, DATA.groups, 3, 1)
kept_search(services, "xgboost", lambda trial: print(trial.number, flush=True))(ROWS, folds, TRIAL_COUNT)
"""


def test_a_search_killed_midway_goes_on_and_ends_with_the_same_best_trial(services: Services) -> None:
    folds = grouped_folds(DATA.labels, DATA.groups, 3, 1)
    undisturbed = list(search.search("xgboost", ROWS, folds, services.policy.seed, [], TRIAL_COUNT, 600))
    environment = os.environ | {
        "CHURN_DATABASE_URL": services.database.url,
        "MLFLOW_TRACKING_URI": services.tracking.tracking_uri,
    }
    process = subprocess.Popen([sys.executable, "-c", SEARCHING], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert [process.stdout.readline().strip() for _ in range(4)] == ["0", "1", "2", "3"]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    key = search_key("xgboost", ROWS, folds, services.policy)
    with services.database.transaction() as connection:
        kept = trials.of_search(connection, key)
    assert 4 <= len(kept) < TRIAL_COUNT

    told: list[int] = []
    resumed = kept_search(services, "xgboost", lambda trial: told.append(trial.number))(ROWS, folds, TRIAL_COUNT)

    assert [replace(trial, seconds=0) for trial in resumed] == [replace(trial, seconds=0) for trial in undisturbed]
    assert best_trial(resumed).parameters == best_trial(undisturbed).parameters
    assert told == list(range(TRIAL_COUNT))
    assert resumed[: len(kept)] == kept  # taken as they were, their seconds too


def test_other_rows_folds_or_seeds_are_another_search(services: Services) -> None:
    folds = grouped_folds(DATA.labels, DATA.groups, 3, 1)
    key = search_key("logistic", ROWS, folds, services.policy)
    other_labels = replace(ROWS, labels=1 - ROWS.labels)

    others = [
        search_key("xgboost", ROWS, folds, services.policy),
        search_key("logistic", other_labels, folds, services.policy),
        search_key("logistic", ROWS, folds[1:], services.policy),
        search_key("logistic", ROWS, folds, services.policy.model_copy(update={"seed": 2})),
    ]
    assert len({key, *others}) == 5
    more_trials = services.policy.model_copy(update={"search_trial_count": 99})
    assert search_key("logistic", ROWS, folds, more_trials) == key


def test_an_unchanged_week_takes_the_estimate_that_is_there(services: Services) -> None:
    light = lightly(services)
    admit_simulated(services, count=2_000)
    plan = plan_training(light)
    first = train_candidate(light, plan, "logistic")
    again = train_candidate(light, plan_training(light), "logistic")

    assert again.estimate_key == first.estimate_key
    assert again.roc_auc == first.roc_auc
    client = mlflow.MlflowClient(tracking_uri=services.tracking.tracking_uri)
    assert client.get_run(again.mlflow_run_id).data.tags["estimated_in"] == first.mlflow_run_id
    # Its page shows the same; only what was learned is not learned again.
    measured, measured_again = (client.get_run(each.mlflow_run_id).data.metrics for each in (first, again))
    assert measured_again == measured

    changed = lightly(services, confidence=0.9)
    assert train_candidate(changed, plan, "logistic").estimate_key != first.estimate_key


def test_each_trial_is_a_run_below_its_candidate(services: Services) -> None:
    light = lightly(services, search_trial_count=3)
    admit_simulated(services, count=2_000)
    plan = plan_training(light)
    trained = train_candidate(light, plan, "xgboost")

    client = mlflow.MlflowClient(tracking_uri=services.tracking.tracking_uri)
    candidate = client.get_run(trained.mlflow_run_id)
    below = client.search_runs(
        [candidate.info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{trained.mlflow_run_id}'",
        order_by=["start_time"],
    )
    assert sorted(run.info.run_name for run in below) == ["trial 0", "trial 1", "trial 2"]
    for run in below:
        assert set(search.SPACES["xgboost"]) == set(run.data.params)
        assert run.data.tags["pruned"] in ("true", "false")
        assert run.data.metrics["mean_log_loss"] > 0
    assert candidate.data.params["calibration"] in ("none", "platt", "isotonic")
    assert candidate.data.metrics["cv_roc_auc_low"] < trained.roc_auc.value == candidate.data.metrics["cv_roc_auc"]
    assert 0 < candidate.data.metrics["cv_f1"] < 1


def test_the_estimate_comes_back_from_the_database_as_it_was(services: Services) -> None:
    light = lightly(services)
    admit_simulated(services, count=2_000)
    trained = train_candidate(light, plan_training(light), "random_forest")
    with services.database.transaction() as connection:
        found = candidate_estimates.find(connection, trained.estimate_key)
        assert candidate_estimates.find(connection, "0" * 64) is None
    assert found
    estimate, run_id = found
    assert run_id == trained.mlflow_run_id
    assert estimate.kind == "random_forest"
    assert estimate.recipe.parameters.keys() == search.SPACES["random_forest"].keys()
    assert estimate.probabilities.shape[0] == light.policy.nested_repeat_count
    assert len(estimate.folds) == light.policy.fold_count


def test_a_machine_that_is_too_full_is_asked_again_later() -> None:
    huge = replace(ROWS, matrix=_Huge(10**15))  # type: ignore[arg-type]

    with pytest.raises(NotEnoughMemory, match="MB left") as refusal:
        require_memory(huge)

    assert refusal.value.retry_helps
    require_memory(ROWS)


class _Huge:
    """A matrix of a size that no machine has."""

    def __init__(self, byte_count: int) -> None:
        self.nbytes = byte_count
