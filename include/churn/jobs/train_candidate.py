"""One algorithm: its best recipe on the development rows, and an honest estimate of what that is worth."""

import logging
from dataclasses import dataclass

import psutil

from churn.core.candidates import Kind
from churn.core.estimation import CandidateEstimate, Groups, JudgedFold, estimate_candidate, interval
from churn.core.search import Rows, Trial
from churn.core.training import encoded
from churn.db import candidate_estimates
from churn.errors import NotEnoughMemory
from churn.jobs.plan_training import TrainingPlan, frozen_rows
from churn.jobs.record_training import record_candidate, record_trial
from churn.jobs.search_parameters import estimate_key, kept_search
from churn.records import Interval
from churn.services import Services
from churn.tracking import Run

log = logging.getLogger(__name__)

# At 100,000 rows a logistic regression takes 16 times its encoded matrix (one-hot, with the blanked copies), boosters
# and forest 7 times, over 290 MB of the process: some more, so that a machine is rather thought full than filled.
MATRIX_COPIES, BASE_BYTES = 20, 300_000_000


@dataclass(frozen=True)
class TrainedCandidate:
    """One algorithm's estimate by nested cross-validation on the development rows; the database has all of it."""

    kind: Kind
    mlflow_run_id: str
    estimate_key: str
    roc_auc: Interval


def train_candidate(services: Services, plan: TrainingPlan, kind: Kind) -> TrainedCandidate:
    """Search the parameters of one algorithm, estimate what it is worth, and log both to MLflow.

    Each trial is kept as soon as it is known, so a task that was killed goes on where it was. The same rows, policy and
    code were estimated before: that estimate is taken. Raises NotEnoughMemory where the machine is too full now.
    """
    development, _ = frozen_rows(services, plan)
    rows = encoded(development)
    key = estimate_key(kind, rows, development.groups, services.policy)
    with services.tracking.start_run(kind, plan.tags, parent_run_id=plan.mlflow_run_id) as run:
        with services.database.transaction() as connection:
            known = candidate_estimates.find(connection, key)
        if known is None:
            require_memory(rows)
            estimate = _estimate(services, plan, kind, rows, development.groups, run)
            with services.database.transaction() as connection:
                candidate_estimates.record(connection, key, estimate, run.run_id)
        else:
            estimate, first_run_id = known
            run.log(tags={"estimated_in": first_run_id})
            log.info("%s: the same rows, policy and code were estimated in run %s.", kind, first_run_id)
        record_candidate(run, estimate, development.labels, services.policy)
    roc_auc = interval(estimate.folds, "roc_auc", services.policy)
    log.info("%s: ROC-AUC %.4f (%.4f to %.4f).", kind, roc_auc.value, roc_auc.low, roc_auc.high)
    return TrainedCandidate(kind, run.run_id, key, roc_auc)


def _estimate(
    services: Services, plan: TrainingPlan, kind: Kind, rows: Rows, groups: Groups, run: Run
) -> CandidateEstimate:
    policy = services.policy

    def on_trial(trial: Trial) -> None:
        record_trial(services.tracking, run, plan.tags, trial)
        log.info(
            "%s: trial %s of %s, log loss %.4f.", kind, trial.number + 1, policy.search_trial_count, trial.mean_loss
        )

    def on_fold(fold: JudgedFold) -> None:
        place = fold.repeat * policy.fold_count + fold.fold + 1
        count = policy.nested_repeat_count * policy.fold_count
        log.info("%s: outer fold %s of %s, ROC-AUC %.4f.", kind, place, count, fold.evaluation.roc_auc.value)

    searches = kept_search(services, kind, on_trial), kept_search(services, kind)
    return estimate_candidate(kind, rows, groups, policy, *searches, on_fold)


def require_memory(rows: Rows) -> None:
    """Raise NotEnoughMemory where the machine has less memory left than training on these rows takes.

    Candidates that are trained side by side then wait for each other: the error asks for a retry.
    """
    needed = BASE_BYTES + MATRIX_COPIES * rows.matrix.nbytes
    available = psutil.virtual_memory().available
    if available < needed:
        raise NotEnoughMemory(
            f"Training on {len(rows.labels):,} rows takes about {needed / 1e6:,.0f} MB, this machine has"
            f" {available / 1e6:,.0f} MB left.",
            "It is tried again later; if that does not help, train on a larger machine or run fewer tasks beside it.",
        )
