"""Every week: four candidates on frozen rows, one winner, and a gate that decides whether it may serve."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from churn import quality
from churn.columns import KEY
from churn.core import training
from churn.core.candidates import CANDIDATES, Kind
from churn.core.evaluation import auc_difference, evaluate
from churn.core.promotion import decide_promotion as decide
from churn.core.training import TrainingData
from churn.db import customers, extracts, promotions, retraining_requests, validation_results
from churn.db.migrations import require_current_schema
from churn.errors import NoProductionModel, NothingToTrainOn, TrainingRefused
from churn.jobs.choose_engine import admit_engine
from churn.jobs.record_training import (
    code_version,
    record_candidate,
    record_decision,
    record_holdout,
    record_plan,
)
from churn.records import Decision, Evaluation, Extract, Interval, Judgement, ModelVersion
from churn.services import Services

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingPlan:
    """The frozen rows of one retraining and the MLflow run that tells its story."""

    mlflow_run_id: str
    extract_id: int
    snapshot_date: date
    content_hash: str
    fingerprint: str
    tags: dict[str, str]


@dataclass(frozen=True)
class TrainedCandidate:
    """One algorithm's cross-validated estimate on the development rows."""

    kind: Kind
    mlflow_run_id: str
    mean_auc: float
    auc_deviation: float


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

    def summary(self) -> dict[str, Any]:
        """The result as one flat row."""
        auc = self.holdout.roc_auc
        return {
            "winner": self.winner,
            "model_version": self.model_version,
            "promoted": self.decision.approved,
            "roc_auc": auc.value,
            "roc_auc_low": auc.low,
            "roc_auc_high": auc.high,
            "calibration_error": self.holdout.calibration_error,
            "reason": self.decision.reason,
        }


def retrain_model(services: Services) -> Retraining:
    """Plan, train every candidate and let the gate decide."""
    plan = plan_training(services)
    trained = [train_candidate(services, plan, kind) for kind in CANDIDATES]
    return decide_promotion(services, plan, trained)


def plan_training(services: Services) -> TrainingPlan:
    """Freeze what is learned from: the newest snapshot that was delivered with labels.

    Raises NoCustomers, NothingToTrainOn, or TrainingRefused where a customer is not what the contract says, before a
    training is begun.
    """
    require_current_schema(services.database)
    with services.database.transaction() as connection:
        extract = extracts.latest_labelled(connection)
    data = _read(services, extract.extract_id, extract.snapshot_date, extract.content_hash)
    training.split_training(data, services.policy)
    judgement = _require_sound(services, extract, len(data.labels))
    fingerprint = training.fingerprint(data)
    tags = {
        "snapshot_date": extract.snapshot_date.isoformat(),
        "extract_id": str(extract.extract_id),
        "content_hash": extract.content_hash,
        "fingerprint": fingerprint,
        "code_version": code_version(services.project_dir),
    }
    page = {"data_docs": judgement.data_docs} if judgement.data_docs else {}
    run = services.tracking.start_run(f"retraining on {extract.snapshot_date}", tags | page)
    record_plan(run, data, fingerprint, services.policy)
    log.info("Training on %s customers of %s (%s).", len(data.labels), data.snapshot_date, fingerprint[:12])
    return TrainingPlan(run.run_id, extract.extract_id, extract.snapshot_date, extract.content_hash, fingerprint, tags)


def _require_sound(services: Services, extract: Extract, customer_count: int) -> Judgement:
    """Hold the customers that will be learned from against their suite; the results are kept with their extract."""
    url = services.database.sqlalchemy_url_with("churn.training_extract_id", str(extract.extract_id))
    judgement = quality.judge_training(url, services.project_dir, services.reports, extract, customer_count)
    with services.database.transaction() as connection:
        validation_results.record(connection, extract, judgement.results)
    failed = "; ".join(result.sentence for result in judgement.results if result.is_refusal)
    if failed:
        raise TrainingRefused(
            f"The labelled customers of {extract.snapshot_date} fail their suite: {failed}. Nothing was trained.",
            f"Look at {judgement.data_docs} in the reports folder, and find out what has changed them since they were"
            " admitted.",
        )
    return judgement


def train_candidate(services: Services, plan: TrainingPlan, kind: Kind) -> TrainedCandidate:
    """Estimate one algorithm by cross-validation on the development rows and log it to MLflow."""
    development, _ = _frozen_rows(services, plan)
    with services.tracking.start_run(kind, plan.tags, parent_run_id=plan.mlflow_run_id) as run:
        result = training.cross_validate(kind, development, services.policy)
        record_candidate(run, result, development.labels, services.policy)
    log.info("%s: ROC-AUC %.4f over %s folds.", kind, result.mean_auc, len(result.folds))
    return TrainedCandidate(kind, run.run_id, result.mean_auc, result.auc_deviation)


def decide_promotion(services: Services, plan: TrainingPlan, trained: Sequence[TrainedCandidate]) -> Retraining:
    """Fit the best candidate, judge it once on the holdout, register it, and promote it where the gate approves.

    Challenger and Production are compared on the same holdout rows, which neither has trained on. Any error on the
    way leaves the alias where it is. One decision at a time: raises AlreadyRunning where another is being taken.
    """
    with services.database.lock("promotion"), services.tracking.run(plan.mlflow_run_id) as run:
        winner = training.choose(trained)
        development, holdout = _frozen_rows(services, plan)
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
    return Retraining(winner, tuple(trained), challenger.version, decision, evaluation, plan.mlflow_run_id)


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


def _frozen_rows(services: Services, plan: TrainingPlan) -> tuple[TrainingData, TrainingData]:
    """(development, holdout) of the plan. Raises NothingToTrainOn where the rows are no longer the planned ones."""
    data = _read(services, plan.extract_id, plan.snapshot_date, plan.content_hash)
    if training.fingerprint(data) != plan.fingerprint:
        raise NothingToTrainOn(
            f"The rows of extract {plan.extract_id} are not those that were planned.", "Start a new retraining."
        )
    return training.split_training(data, services.policy)


def _read(services: Services, extract_id: int, snapshot_date: date, content_hash: str) -> TrainingData:
    with services.database.transaction() as connection:
        frame, labels = customers.read_labelled(connection, extract_id)
    features = frame.drop(columns=KEY.name)
    return TrainingData(frame[KEY.name].to_numpy(object), features, labels, snapshot_date, content_hash)
