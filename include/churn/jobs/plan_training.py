"""Freeze what a retraining learns from: the rows, their fingerprint, and the MLflow run that tells its story."""

import logging
from dataclasses import dataclass
from datetime import date

from churn import quality
from churn.columns import KEY
from churn.core import training
from churn.core.training import TrainingData
from churn.db import customers, extracts, validation_results
from churn.db.migrations import require_current_schema
from churn.errors import NothingToTrainOn, TrainingRefused
from churn.jobs.record_training import code_version, record_plan
from churn.records import Extract, Judgement
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


def plan_training(services: Services) -> TrainingPlan:
    """Freeze what is learned from: the newest snapshot that was delivered with labels.

    Raises NoCustomers, NothingToTrainOn, or TrainingRefused where a customer is not what the contract says, before a
    training is begun.
    """
    require_current_schema(services.database)
    with services.database.transaction() as connection:
        extract = extracts.latest_labelled(connection)
    data = read_training_data(services, extract.extract_id, extract.snapshot_date, extract.content_hash)
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


def frozen_rows(services: Services, plan: TrainingPlan) -> tuple[TrainingData, TrainingData]:
    """(development, holdout) of the plan. Raises NothingToTrainOn where the rows are no longer the planned ones."""
    data = read_training_data(services, plan.extract_id, plan.snapshot_date, plan.content_hash)
    if training.fingerprint(data) != plan.fingerprint:
        raise NothingToTrainOn(
            f"The rows of extract {plan.extract_id} are not those that were planned.", "Start a new retraining."
        )
    return training.split_training(data, services.policy)


def read_training_data(services: Services, extract_id: int, snapshot_date: date, content_hash: str) -> TrainingData:
    """The labelled customers of an admitted extract."""
    with services.database.transaction() as connection:
        frame, labels = customers.read_labelled(connection, extract_id)
    features = frame.drop(columns=KEY.name)
    return TrainingData(frame[KEY.name].to_numpy(object), features, labels, snapshot_date, content_hash)


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
