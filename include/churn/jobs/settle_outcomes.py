"""Every day: scores whose horizon has passed meet what became true."""

import logging

import numpy as np
import numpy.typing as npt

from churn.core.evaluation import deciles, evaluate
from churn.db import outcomes, scoring_runs
from churn.db.migrations import require_current_schema
from churn.db.outcomes import RealisedPerformance
from churn.records import ScoringRun
from churn.services import Services

log = logging.getLogger(__name__)


def settle_outcomes(services: Services) -> list[RealisedPerformance]:
    """Record how each published run did against its outcomes, once its horizon has passed.

    Only what was observed after the run's snapshot counts: labels delivered with the snapshot are what a model may
    have learned from, and would flatter it. Returns the runs settled now; none due is an empty list.
    """
    require_current_schema(services.database)
    horizon = services.policy.horizon_days
    settled = []
    with services.database.transaction() as connection:
        for run in scoring_runs.due_for_settling(connection, horizon):
            churned, probabilities = outcomes.settled_scores(connection, run, horizon)
            if not len(churned):
                log.info("Scoring run %s: no customer with a known outcome yet.", run.scoring_run_id)
                continue
            performance = _performance(run, horizon, churned, probabilities, services.policy.confidence)
            outcomes.record(connection, performance)
            settled.append(performance)
    return settled


def _performance(
    run: ScoringRun,
    horizon: int,
    churned: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float64],
    confidence: float,
) -> RealisedPerformance:
    both = 0 < churned.sum() < len(churned)
    measured = evaluate(churned, probabilities, confidence) if both else None
    return RealisedPerformance(
        scoring_run_id=run.scoring_run_id,
        horizon_days=horizon,
        snapshot_date=run.snapshot_date,
        model_version=run.model_version,
        outcome_count=len(churned),
        churn_rate=float(churned.mean()),
        mean_probability=float(probabilities.mean()),
        roc_auc=measured.roc_auc.value if measured else None,
        roc_auc_low=measured.roc_auc.low if measured else None,
        roc_auc_high=measured.roc_auc.high if measured else None,
        brier=float(np.mean((probabilities - churned) ** 2)),
        calibration_error=measured.calibration_error if measured else abs(float(probabilities.mean() - churned.mean())),
        lift_10=measured.lift_10 if measured else None,
        deciles=deciles(churned, probabilities),
    )
