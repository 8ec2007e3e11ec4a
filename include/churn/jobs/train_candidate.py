"""One algorithm's honest estimate on the development rows."""

import logging
from dataclasses import dataclass

from churn.core import training
from churn.core.candidates import Kind
from churn.jobs.plan_training import TrainingPlan, frozen_rows
from churn.jobs.record_training import record_candidate
from churn.services import Services

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedCandidate:
    """One algorithm's cross-validated estimate on the development rows."""

    kind: Kind
    mlflow_run_id: str
    mean_auc: float
    auc_deviation: float


def train_candidate(services: Services, plan: TrainingPlan, kind: Kind) -> TrainedCandidate:
    """Estimate one algorithm by cross-validation on the development rows and log it to MLflow."""
    development, _ = frozen_rows(services, plan)
    with services.tracking.start_run(kind, plan.tags, parent_run_id=plan.mlflow_run_id) as run:
        result = training.cross_validate(kind, development, services.policy)
        record_candidate(run, result, development.labels, services.policy)
    log.info("%s: ROC-AUC %.4f over %s folds.", kind, result.mean_auc, len(result.folds))
    return TrainedCandidate(kind, run.run_id, result.mean_auc, result.auc_deviation)
