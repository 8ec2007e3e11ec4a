"""Measure all that the promotion gate looks at. What cannot be measured is missing, with the reason in words."""

import logging
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from churn.core import training
from churn.core.comparison import compare_models
from churn.core.evaluation import evaluate
from churn.core.model import ChurnModel
from churn.core.promotion import Evidence
from churn.core.splits import in_holdout
from churn.core.training import TrainingData
from churn.db import promotions
from churn.db.promotions import ServingEntry
from churn.errors import ChurnError, NoProductionModel
from churn.policy import Policy
from churn.records import Evaluation, ModelVersion
from churn.services import Services

log = logging.getLogger(__name__)

TIMED_COUNT = 50  # single predictions: their median is not moved by a busy moment


@dataclass(frozen=True)
class Judged:
    """A model's probabilities (n,) for labelled customers, the evaluation, and the fingerprint of those customers."""

    rows: str
    labels: npt.NDArray[np.int8]
    probabilities: npt.NDArray[np.float64]
    evaluation: Evaluation


@dataclass
class Gathering:
    """Evidence under way: what is known so far, the challenger loaded back, and its judgement.

    `outage` is the first failure that may go away by itself: trying again later can gather more.
    """

    evidence: Evidence = field(default_factory=Evidence)
    loaded: ChurnModel | None = None
    judged: Judged | None = None
    outage: ChurnError | None = None

    def learn(self, **known: object) -> None:
        """Add to the evidence."""
        self.evidence = replace(self.evidence, **known)  # type: ignore[arg-type]

    @contextmanager
    def attempt(self, doing: str) -> Iterator[None]:
        """A step whose failure is a problem in the evidence, so that the gate decides and the ledger has the reason."""
        try:
            yield
        except (ChurnError, ValueError) as error:
            log.warning("%s failed: %s", doing, error)
            message = error.message if isinstance(error, ChurnError) else str(error)
            self.learn(problems=(*(self.evidence.problems or ()), f"{doing} failed: {message}"))
            if self.outage is None and isinstance(error, ChurnError) and error.retry_helps:
                self.outage = error


def gather_evidence(
    services: Services, model: ChurnModel, challenger: ModelVersion, holdout: TrainingData
) -> Gathering:
    """Judge the challenger and Production on the same customers of the holdout, whom neither has trained on.

    A registry that does not answer, a damaged artifact or a model without numbers is a problem in the evidence; what
    else fails raises.
    """
    gathered, policy = Gathering(), services.policy
    production, entry = _find_production(services, gathered)
    common = _held_out_by_both(holdout, entry, policy)
    with gathered.attempt("judging the challenger"):
        gathered.judged = judge(model, common, policy)
        gathered.learn(holdout=gathered.judged.evaluation, rows=gathered.judged.rows)
    _measure_artifact(services, gathered, model, challenger, common)
    if production is not None:
        _judge_production(services, gathered, production, entry, common)
    with gathered.attempt("asking which version serves"):
        gathered.learn(serving_version=_serving_version(services))
    return gathered


def judge(model: ChurnModel, customers: TrainingData, policy: Policy) -> Judged:
    """How a model does on labelled customers. Raises as `core.evaluation.evaluate`."""
    probabilities = model.predict(customers.features)
    evaluation = evaluate(customers.labels, probabilities, policy.confidence)
    return Judged(training.fingerprint(customers), customers.labels, probabilities, evaluation)


def _find_production(services: Services, gathered: Gathering) -> tuple[ModelVersion | None, ServingEntry | None]:
    with gathered.attempt("finding Production"):
        try:
            production = services.registry.production_version()
        except NoProductionModel:
            gathered.learn(has_production=False)
            return None, None
        gathered.learn(has_production=True, production_version=production.version)
        with services.database.transaction() as connection:
            entry = promotions.serving_entry(connection, production.version)
        gathered.learn(production_age_days=entry.age_days if entry else None)
        return production, entry
    return None, None


def _held_out_by_both(holdout: TrainingData, entry: ServingEntry | None, policy: Policy) -> TrainingData:
    """The holdout without customers that Production was trained on because the policy held out fewer then."""
    if entry is None or entry.holdout_rate >= policy.holdout_rate:
        return holdout
    then = policy.model_copy(update={"holdout_rate": entry.holdout_rate})
    return holdout.take(np.flatnonzero(in_holdout(holdout.customer_ids, then)))


def _measure_artifact(
    services: Services, gathered: Gathering, model: ChurnModel, challenger: ModelVersion, customers: TrainingData
) -> None:
    gathered.learn(expected_digest=challenger.digest)
    with gathered.attempt("loading the challenger back"):
        gathered.loaded = loaded = services.registry.load(challenger.version, challenger.digest)
        gathered.learn(
            digest=services.registry.version(challenger.version).digest,
            smoke_difference=training.largest_difference(model, loaded, customers.features),
            latency_seconds=_median_seconds(loaded, customers),
            rows_per_second=_rows_per_second(loaded, customers),
            artifact_bytes=sum(len(content) for content in loaded.to_files().values()),
        )


def _median_seconds(model: ChurnModel, customers: TrainingData) -> float:
    records = customers.features.head(TIMED_COUNT).to_dict("records")
    seconds = []
    for record in records:
        started = time.perf_counter()
        model.predict_record({str(name): value for name, value in record.items()})
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _rows_per_second(model: ChurnModel, customers: TrainingData) -> float:
    started = time.perf_counter()
    model.predict(customers.features)
    return len(customers.labels) / (time.perf_counter() - started)


def _judge_production(
    services: Services,
    gathered: Gathering,
    production: ModelVersion,
    entry: ServingEntry | None,
    customers: TrainingData,
) -> None:
    gathered.learn(production_digest=production.digest)
    with gathered.attempt("judging Production"):
        model = services.registry.load(production.version, entry.digest if entry else None)
        judged = judge(model, customers, services.policy)
        gathered.learn(production_holdout=judged.evaluation, production_rows=judged.rows)
        if gathered.judged is not None:
            ours, theirs = gathered.judged.probabilities, judged.probabilities
            gathered.learn(
                comparison=compare_models(customers.features, customers.labels, ours, theirs, services.policy)
            )


def _serving_version(services: Services) -> int | None:
    try:
        return services.registry.production_version().version
    except NoProductionModel:
        return None
