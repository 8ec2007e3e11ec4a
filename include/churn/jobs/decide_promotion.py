"""The winner of a retraining is judged once, registered, and promoted where the gate approves."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from churn.core import training
from churn.core.candidates import Kind
from churn.core.evaluation import auc_difference, evaluate
from churn.core.promotion import decide_promotion as decide
from churn.core.training import TrainingData
from churn.core.training_sources import LabelSource
from churn.db import promotions, retraining_requests
from churn.errors import NoProductionModel
from churn.jobs.choose_engine import admit_engine
from churn.jobs.plan_training import TrainingPlan, frozen_rows
from churn.jobs.record_training import record_decision, record_holdout
from churn.jobs.train_candidate import TrainedCandidate
from churn.records import Decision, Evaluation, Interval, ModelVersion
from churn.services import Services

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Incumbent:
    """The Production version on the holdout; `difference` is the paired AUC, challenger minus Production."""

    version: int
    holdout: Evaluation
    difference: Interval


@dataclass(frozen=True)
class Retraining:
    """What a retraining came to."""

    winner: Kind
    candidates: tuple[TrainedCandidate, ...]
    model_version: int
    decision: Decision
    holdout: Evaluation
    mlflow_run_id: str
    labels: LabelSource

    def summary(self) -> dict[str, Any]:
        """The result as one flat row."""
        auc = self.holdout.roc_auc
        return {
            "winner": self.winner,
            "labels": self.labels,
            "model_version": self.model_version,
            "promoted": self.decision.approved,
            "roc_auc": auc.value,
            "roc_auc_low": auc.low,
            "roc_auc_high": auc.high,
            "calibration_error": self.holdout.calibration_error,
            "reason": self.decision.reason,
        }


def decide_promotion(services: Services, plan: TrainingPlan, trained: Sequence[TrainedCandidate]) -> Retraining:
    """Fit the best candidate, judge it once on the holdout, register it, and promote it where the gate approves.

    Challenger and Production are compared on the same holdout rows, which neither has trained on. Any error on the
    way leaves the alias where it is. One decision at a time: raises AlreadyRunning where another is being taken.
    """
    with services.database.lock("promotion"), services.tracking.run(plan.mlflow_run_id) as run:
        winner = training.choose(trained)
        development, holdout = frozen_rows(services, plan)
        model = training.fit_model(winner, development, services.policy)
        probabilities = model.predict(holdout.features)
        evaluation = evaluate(holdout.labels, probabilities, services.policy.confidence)
        record_holdout(run, evaluation, holdout.labels, probabilities, services.policy)
        reference = training.draw_reference(model, development, services.policy)
        challenger = services.registry.register(model, run.run_id, reference, services.policy, plan.tags)
        incumbent = _judge_production(services, holdout, probabilities)
        loaded = services.registry.load(challenger.version)
        decision = decide(
            challenger=evaluation,
            production_difference=incumbent.difference if incumbent else None,
            has_production=incumbent is not None,
            policy=services.policy,
            smoke_difference=training.largest_difference(model, loaded, holdout.features),
        )
        record_decision(run, decision)
        _record(services, plan, trained, challenger, evaluation, incumbent, decision)
        if decision.approved:
            services.registry.promote(challenger.version)
            admit_engine(services, challenger.version, challenger.digest, loaded)
        else:
            services.registry.stage(challenger.version)
    return Retraining(winner, tuple(trained), challenger.version, decision, evaluation, plan.mlflow_run_id, plan.labels)


def _record(
    services: Services,
    plan: TrainingPlan,
    trained: Sequence[TrainedCandidate],
    challenger: ModelVersion,
    evaluation: Evaluation,
    incumbent: Incumbent | None,
    decision: Decision,
) -> None:
    """Write the decision to the ledger before the alias moves: no promotion without its evidence."""
    evidence = {
        "holdout": asdict(evaluation),
        "production_holdout": asdict(incumbent.holdout) if incumbent else None,
        "difference": asdict(incumbent.difference) if incumbent else None,
        "candidates": [asdict(candidate) for candidate in trained],
        "fingerprint": plan.fingerprint,
        "extract_id": plan.extract_id,
        "mlflow_run_id": plan.mlflow_run_id,
        "digest": challenger.digest,
    }
    with services.database.transaction() as connection:
        promotions.record(
            connection,
            decision=decision,
            model_version=challenger.version,
            previous_version=incumbent.version if incumbent else None,
            evidence=evidence,
            policy=services.policy,
        )
        retraining_requests.settle(connection, decision.reason)
    log.info("%s", decision.reason)


def _judge_production(
    services: Services, holdout: TrainingData, challenger: npt.NDArray[np.float64]
) -> Incumbent | None:
    """How Production does on the rows that the challenger was judged on; None where no version serves."""
    try:
        production = services.registry.production_version()
    except NoProductionModel:
        return None
    probabilities = services.registry.load(production.version).predict(holdout.features)
    confidence = services.policy.confidence
    return Incumbent(
        production.version,
        evaluate(holdout.labels, probabilities, confidence),
        auc_difference(holdout.labels, challenger, probabilities, confidence),
    )
