"""Freeze what a retraining learns from: the rows, their fingerprint, and the MLflow run that tells its story."""

import json
import logging
from dataclasses import asdict, dataclass
from datetime import date

import numpy as np
import pandas as pd

from churn import quality
from churn.columns import KEY
from churn.core import training
from churn.core.training import TrainingData, TrainingSplit
from churn.core.training_sources import (
    LabelSource,
    TrainingExtract,
    TrainingSources,
    delivered_source,
    settled_sources,
)
from churn.db import customers, extracts, validation_results
from churn.db.database import Connection
from churn.db.migrations import require_current_schema
from churn.errors import NothingToTrainOn, TrainingRefused
from churn.jobs.record_training import code_version, record_plan
from churn.policy import Policy
from churn.records import Judgement
from churn.services import Services
from churn.tracking import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingPlan:
    """The frozen rows of one retraining and the MLflow run that tells its story.

    `sources` names every extract that a row or a label comes from; `extract_id`, `snapshot_date` and `content_hash`
    are of the newest one, whose holdout customers judge.
    """

    mlflow_run_id: str
    sources: TrainingSources
    fingerprint: str
    tags: dict[str, str]

    @property
    def labels(self) -> LabelSource:
        """Whether labels are outcomes or as they were delivered."""
        return self.sources.labels

    @property
    def extract_id(self) -> int:
        """The newest extract that rows come from."""
        return self.sources.newest.extract_id

    @property
    def snapshot_date(self) -> date:
        """The newest day that rows are of."""
        return self.sources.newest.snapshot_date

    @property
    def content_hash(self) -> str:
        """The SHA-256 of the newest extract."""
        return self.sources.newest.content_hash


def plan_training(services: Services) -> TrainingPlan:
    """Freeze what is learned from: snapshots whose horizon has passed, with the outcomes that were known then.

    Where there are no outcomes yet, it is the newest snapshot that was delivered with labels, as they were delivered.
    Raises NothingToTrainOn, or TrainingRefused where a customer is not what the contract says, before a training is
    begun.
    """
    require_current_schema(services.database)
    with services.database.transaction() as connection:
        sources = choose_sources(connection, services.policy)
        data = read_rows(connection, sources, services.policy)
    split = training.split_by_time(data, services.policy)
    pages = [_require_sound(services, extract, data).data_docs for extract in sources.extracts]
    fingerprint = training.fingerprint(data)
    tags = {
        "snapshot_date": sources.newest.snapshot_date.isoformat(),
        "extract_id": str(sources.newest.extract_id),
        "content_hash": sources.newest.content_hash,
        "fingerprint": fingerprint,
        "code_version": code_version(services.project_dir),
        "labels": sources.labels,
        "training_extracts": json.dumps([asdict(extract) for extract in sources.extracts], default=str),
    }
    page = {"data_docs": pages[0]} if pages[0] else {}
    run = services.tracking.start_run(f"retraining on {sources.newest.snapshot_date}", tags | page)
    record_plan(run, data, fingerprint, services.policy)
    _record_sources(run, sources, split)
    _tell(sources, split)
    return TrainingPlan(run.run_id, sources, fingerprint, tags)


def frozen_rows(services: Services, plan: TrainingPlan) -> tuple[TrainingData, TrainingData]:
    """(development, holdout) of the plan. Raises NothingToTrainOn where the rows are no longer the planned ones."""
    with services.database.transaction() as connection:
        data = read_rows(connection, plan.sources, services.policy)
    if training.fingerprint(data) != plan.fingerprint:
        raise NothingToTrainOn(
            f"The rows of extract {plan.extract_id}, or of those before it, are not those that were planned.",
            "Start a new retraining.",
        )
    return training.split_training(data, services.policy)


def choose_sources(connection: Connection, policy: Policy) -> TrainingSources:
    """The snapshots to learn from, as far as history goes now. Raises NothingToTrainOn where there are no labels."""
    snapshots = extracts.snapshots(connection)
    settled = settled_sources(snapshots, policy.horizon_days, policy.training_snapshot_count)
    if settled is not None:
        return settled
    newest = extracts.latest_labelled(connection)
    return delivered_source(newest.extract_id, newest.snapshot_date, newest.content_hash)


def read_rows(connection: Connection, sources: TrainingSources, policy: Policy) -> TrainingData:
    """The rows that these sources stand for: the same ones whatever was admitted since."""
    frames, labels = [], []
    for extract in sources.extracts:
        if sources.labels == "outcomes":
            read = customers.read_settled(connection, extract, sources.label_extract_ids, policy.horizon_days)
        else:
            read = customers.read_labelled(connection, extract.extract_id)
        frames.append(read[0])
        labels.append(read[1])
    frame = pd.concat(frames, ignore_index=True)
    dates = np.repeat([np.datetime64(extract.snapshot_date) for extract in sources.extracts], [len(f) for f in frames])
    features, newest = frame.drop(columns=KEY.name), sources.newest
    return TrainingData(
        frame[KEY.name].to_numpy(object),
        features,
        np.concatenate(labels),
        newest.snapshot_date,
        newest.content_hash,
        dates,
    )


def _record_sources(run: Run, sources: TrainingSources, split: TrainingSplit) -> None:
    run.log_text(json.dumps(asdict(sources), indent=2, default=str), "training_extracts.json")
    run.log(
        metrics={
            "development_row_count": len(split.development.labels),
            "holdout_row_count": len(split.holdout.labels),
            "left_out_row_count": split.left_out_count,
        }
    )


def _tell(sources: TrainingSources, split: TrainingSplit) -> None:
    development, holdout = split.development, split.holdout
    days = np.unique(development.snapshot_dates)
    log.info("Training on %s rows of %s snapshots, the last of %s.", len(development.labels), len(days), days[-1])
    log.info("Judging on %s customers of %s. Labels: %s.", len(holdout.labels), holdout.snapshot_date, sources.labels)
    if split.left_out_count:
        log.info("%s rows with the features of one that judges are left out.", split.left_out_count)


def _require_sound(services: Services, source: TrainingExtract, data: TrainingData) -> Judgement:
    """Hold the rows of one extract that are learned from against their suite; the results are kept with the extract."""
    settings = {"churn.training_extract_id": str(source.extract_id)}
    if source.settled_date is not None:
        settings["churn.training_settled_date"] = source.settled_date.isoformat()
        settings["churn.training_horizon_days"] = str(services.policy.horizon_days)
    row_count = int((data.snapshot_dates == np.datetime64(source.snapshot_date)).sum())
    with services.database.transaction() as connection:
        extract = extracts.get(connection, source.extract_id)
    url = services.database.sqlalchemy_url_with(settings)
    judgement = quality.judge_training(url, services.project_dir, services.reports, extract, row_count)
    with services.database.transaction() as connection:
        validation_results.record(connection, extract, judgement.results)
    failed = "; ".join(result.sentence for result in judgement.results if result.is_refusal)
    if failed:
        raise TrainingRefused(
            f"The labelled customers of {extract.snapshot_date} fail their suite: {failed}. Nothing was trained.",
            f"Look at {judgement.data_docs} among the reports, and find out what has changed them since they were"
            " admitted.",
        )
    return judgement
