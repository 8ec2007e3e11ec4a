"""The gate on trial: how often it is fooled by luck, how often it sees what is truly better, and what never passes."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn.core import training
from churn.core.comparison import compare_models
from churn.core.evaluation import auc_difference, evaluate
from churn.core.model import ChurnModel
from churn.core.promotion import Evidence, decide_promotion
from churn.core.splits import in_holdout
from churn.core.training import TrainingData
from churn.db import promotions
from churn.errors import AlreadyRunning, RegistryUnavailable
from churn.jobs import decide_promotion as job
from churn.jobs.decide_promotion import Retraining
from churn.jobs.gather_evidence import gather_evidence, judge
from churn.jobs.plan_training import TrainingPlan, frozen_rows, plan_training
from churn.jobs.train_candidate import train_candidate
from churn.mlflow_server import client_of
from churn.platform.ports import LOOPBACK
from churn.policy import Policy
from churn.records import Decision, ModelVersion
from churn.registry import MODEL_NAME, Registry
from churn.services import Services
from tests.conftest import TestMlflow
from tests.jobs import (
    admit_simulated,
    approve_model,
    lightly,
    promote_model,
    record_approval,
    simulated_training,
    with_changes,
)
from tests.server import random_free_port

log = logging.getLogger(__name__)

POLICY = Policy()
# A retraining on the public file's 7,043 customers: it learns from so many and judges on the others.
DEVELOPMENT_COUNT, HOLDOUT_COUNT = 5_634, 1_409
MODEL_COUNT, PAIR_COUNT = 25, 300
POWER_TRIALS = 100


def holdouts(seed: int, count: int) -> Iterator[TrainingData]:
    """One fresh holdout a trial, of customers that no model has seen."""
    customers = simulated_training(count * HOLDOUT_COUNT, seed)
    charges = pd.to_numeric(customers.features["TotalCharges"], errors="coerce")  # text is read far more slowly
    customers = replace(customers, features=customers.features.assign(TotalCharges=charges))
    for start in range(0, count * HOLDOUT_COUNT, HOLDOUT_COUNT):
        yield customers.take(np.arange(start, start + HOLDOUT_COUNT))


def small_model(data: TrainingData, seed: int) -> ChurnModel:
    policy = POLICY.model_copy(update={"seed": seed})
    return training.fit_model("lightgbm", data, policy, {"rounds": 100})


def resampled(data: TrainingData, seed: int) -> TrainingData:
    """A bootstrap sample of the customers, each drawn one under an id of its own."""
    drawn = np.random.default_rng(seed).integers(0, len(data.labels), len(data.labels))
    ids = np.array([f"{place}" for place in range(len(drawn))], object)
    return TrainingData(ids, data.features.iloc[drawn], data.labels[drawn], data.snapshot_date, data.content_hash)


def gate(challenger: ChurnModel, production: ChurnModel, holdout: TrainingData, **changes: Any) -> Decision:
    """The gate on real comparisons; what is about artifacts and servers is in order."""
    ours, theirs = (model.predict(holdout.features) for model in (challenger, production))
    evidence = Evidence(
        holdout=evaluate(holdout.labels, ours, POLICY.confidence),
        rows="rows",
        digest="ours",
        expected_digest="ours",
        smoke_difference=0.0,
        latency_seconds=0.001,
        rows_per_second=100_000.0,
        artifact_bytes=100_000,
        has_production=True,
        production_holdout=evaluate(holdout.labels, theirs, POLICY.confidence),
        production_rows="rows",
        production_digest="theirs",
        production_version=1,
        serving_version=1,
        production_age_days=7.0,
        comparison=compare_models(holdout.features, holdout.labels, ours, theirs, POLICY),
    )
    return decide_promotion(replace(evidence, **changes), POLICY)


def test_of_300_challengers_that_are_no_better_at_most_one_in_twenty_is_promoted() -> None:
    data = simulated_training(DEVELOPMENT_COUNT, 1)
    models = [small_model(resampled(data, seed), seed) for seed in range(MODEL_COUNT)]
    pairs = np.random.default_rng(5).permuted(list(combinations(range(MODEL_COUNT), 2)), axis=1)
    assert len(pairs) == PAIR_COUNT
    decisions = [
        gate(models[challenger], models[production], holdout)
        for (challenger, production), holdout in zip(pairs, holdouts(2, PAIR_COUNT), strict=True)
    ]
    promoted = sum(decision.approved for decision in decisions)
    log.info("Of %s challengers that are no better %s were promoted.", PAIR_COUNT, promoted)
    assert promoted <= 0.05 * PAIR_COUNT


def test_a_challenger_that_is_better_by_two_hundredths_is_promoted_four_times_in_five() -> None:
    data = simulated_training(DEVELOPMENT_COUNT, 1)
    # Production knows neither how long a customer has been one nor who has online security.
    blind = data.features.drop(columns=["tenure", "TotalCharges", "OnlineSecurity"])
    production, challenger = small_model(replace(data, features=blind), 1), small_model(data, 1)
    fresh = simulated_training(100_000, 3)
    probabilities = [model.predict(fresh.features) for model in (challenger, production)]
    advantage = auc_difference(fresh.labels, *probabilities, POLICY.confidence).value
    assert advantage == pytest.approx(0.02, abs=0.0015)
    trials = list(holdouts(4, POWER_TRIALS))
    promoted = sum(gate(challenger, production, holdout).approved for holdout in trials)
    log.info("A challenger better by %.4f was promoted %s times of %s.", advantage, promoted, POWER_TRIALS)
    assert promoted >= 0.8 * POWER_TRIALS
    assert not any(gate(production, challenger, holdout).approved for holdout in trials[:30])


def test_models_judged_on_other_customers_are_not_compared() -> None:
    model = small_model(simulated_training(2_000, 1), 1)
    one, other = (judge(model, holdout, POLICY) for holdout in holdouts(6, 2))
    (holdout,) = holdouts(6, 1)
    assert one.rows == judge(model, holdout, POLICY).rows != other.rows
    decision = gate(model, model, holdout, rows=one.rows, production_rows=other.rows)
    assert f"customers judged on: {one.rows}, required {other.rows}" in decision.reason


@pytest.fixture
def services(services: Services) -> Services:
    """Real services whose searches are short."""
    return lightly(services)


@pytest.fixture
def plan(services: Services) -> TrainingPlan:
    """A retraining that is planned, on 2,000 simulated customers."""
    admit_simulated(services, count=2_000)
    return plan_training(services)


def decide(services: Services, plan: TrainingPlan) -> Retraining:
    """The decision of a retraining that has found the logistic regression to be best."""
    return job.decide_promotion(services, plan, [train_candidate(services, plan, "logistic")])


def ledger(services: Services) -> list[dict[str, Any]]:
    """What was decided in this test, oldest first, without what the test itself put there."""
    with services.database.transaction() as connection:
        rows = connection.execute("SELECT * FROM churn.promotions ORDER BY promotion_id").fetchall()
    return [row for row in rows if "rules" in row["evidence"]]


def spoil(services: Services, artifacts: Path, version: int) -> None:
    """Change one byte of a version's stored estimator."""
    (stored,) = _stored_models(services, artifacts, version)
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(bytes(content))


def _stored_models(services: Services, artifacts: Path, version: int) -> list[Path]:
    address = client_of(services.registry.tracking_uri).get_model_version(MODEL_NAME, str(version)).source
    return list(artifacts.glob(f"**/{address.rpartition('/')[2]}/**/estimator.*"))


class Troubled(Registry):
    """The real registry, with something that happens right after a challenger has been registered in it."""

    def __init__(self, tracking_uri: str, trouble: Callable[["Troubled", int], None]) -> None:
        super().__init__(tracking_uri)
        self._trouble = trouble

    def register(self, *arguments: Any) -> ModelVersion:
        registered = super().register(*arguments)
        self._trouble(self, registered.version)
        return registered


def troubled(services: Services, trouble: Callable[[Troubled, int], None]) -> Services:
    return with_changes(services, registry=Troubled(services.registry.tracking_uri, trouble))


def test_a_registry_that_goes_away_keeps_production_with_the_reason_in_the_ledger(
    services: Services, plan: TrainingPlan
) -> None:
    serving = approve_model(services, shuffled=True)

    def go_away(registry: Troubled, _: int) -> None:
        registry.tracking_uri = f"http://{LOOPBACK}:{random_free_port()}"

    with pytest.raises(RegistryUnavailable):
        decide(troubled(services, go_away), plan)
    (entry,) = ledger(services)
    assert entry["decision"] == "kept"
    assert "finding Production failed: MLflow at" in entry["reason"]
    assert services.registry.production_version().version == serving
    # The next attempt finds everything in place.
    assert decide(services, plan).decision.approved


def test_a_challenger_whose_files_are_damaged_is_never_promoted(
    services: Services, plan: TrainingPlan, mlflow_server: TestMlflow
) -> None:
    serving = approve_model(services, shuffled=True)
    result = decide(troubled(services, lambda _, version: spoil(services, mlflow_server.artifacts, version)), plan)
    assert not result.decision.approved
    (entry,) = ledger(services)
    assert entry["decision"] == "kept"
    assert f"The files of version {result.model_version} have the digest" in entry["reason"]
    assert services.registry.production_version().version == serving
    assert services.registry.staging_version() is None


def test_a_challenger_with_another_digest_than_it_was_registered_with_is_never_promoted(
    services: Services, plan: TrainingPlan
) -> None:
    serving = approve_model(services, shuffled=True)

    def forge(registry: Troubled, version: int) -> None:
        client_of(registry.tracking_uri).set_model_version_tag(MODEL_NAME, str(version), "digest", "0" * 64)

    result = decide(troubled(services, forge), plan)
    assert not result.decision.approved
    assert f"recorded is {'0' * 64}, expected" in ledger(services)[0]["reason"]
    assert services.registry.production_version().version == serving


def test_a_version_that_an_earlier_attempt_registered_with_another_model_is_never_promoted(
    services: Services, plan: TrainingPlan
) -> None:
    development, _ = frozen_rows(services, plan)
    other = training.fit_model("logistic", development, services.policy, {"C": 1e-4})
    reference = training.draw_reference(other, development, services.policy)
    services.registry.register(other, plan.mlflow_run_id, reference, services.policy)
    result = decide(services, plan)
    assert result.decision.reason.startswith("Nothing is promoted: artifact loaded back is 0.")
    assert ledger(services)[0]["reason"] == result.decision.reason


def test_production_whose_files_are_damaged_stays_until_a_person_looks(
    services: Services, plan: TrainingPlan, mlflow_server: TestMlflow
) -> None:
    serving = promote_model(services, seed=40, shuffled=True)  # of this test alone: its files stay damaged
    record_approval(services, serving)
    spoil(services, mlflow_server.artifacts, serving)
    result = decide(services, plan)
    assert not result.decision.approved
    assert f"judging Production failed: The files of version {serving}" in ledger(services)[0]["reason"]
    assert services.registry.production_version().version == serving


def test_a_challenger_that_answers_with_no_number_is_never_promoted(services: Services, plan: TrainingPlan) -> None:
    development, holdout = frozen_rows(services, plan)
    model = training.fit_model("logistic", development, services.policy)
    model.estimator[-1].intercept_ = np.array([np.nan])
    reference = training.draw_reference(model, development, services.policy)
    registered = services.registry.register(model, plan.mlflow_run_id, reference, services.policy)
    evidence = gather_evidence(services, model, registered, holdout).evidence
    assert evidence.holdout is None
    decision = decide_promotion(evidence, services.policy)
    assert not decision.approved
    assert "every probability must be a number from 0 to 1" in decision.reason


def test_production_that_the_ledger_does_not_know_stays(services: Services, plan: TrainingPlan) -> None:
    serving = promote_model(services, shuffled=True)
    assert "the age of Production is unknown" in decide(services, plan).decision.reason
    assert services.registry.production_version().version == serving


def test_production_that_changed_while_it_was_compared_stays(services: Services, plan: TrainingPlan) -> None:
    compared = approve_model(services, shuffled=True)
    other = promote_model(services, seed=2)
    services.registry.promote(compared)

    class Hasty(Registry):
        """Somebody promotes another version while Production is being loaded for the comparison."""

        def load(self, number: int, expected_digest: str | None = None) -> ChurnModel:
            loaded = super().load(number, expected_digest)
            if number == compared:
                self.promote(other)
            return loaded

    result = decide(with_changes(services, registry=Hasty(services.registry.tracking_uri)), plan)
    assert f"version {compared} was compared, but version {other} serves now" in result.decision.reason
    assert services.registry.production_version().version == other
    assert ledger(services)[0]["decision"] == "kept"


def test_of_two_gates_at_once_one_decides(services: Services, plan: TrainingPlan) -> None:
    def attempt(_: int) -> Retraining | AlreadyRunning:
        try:
            return decide(services, plan)
        except AlreadyRunning as error:
            return error

    with ThreadPoolExecutor(2) as both:
        results = list(both.map(attempt, range(2)))
    assert [entry["decision"] for entry in ledger(services)] == ["promoted"]
    decided = [result for result in results if isinstance(result, Retraining)]
    assert {result.model_version for result in decided} == {services.registry.production_version().version}


def test_repeating_a_decision_that_promoted_returns_it_and_adds_nothing(services: Services, plan: TrainingPlan) -> None:
    first, again = decide(services, plan), decide(services, plan)
    assert again.decision == first.decision
    assert [entry["decision"] for entry in ledger(services)] == ["promoted"]
    assert services.registry.version(first.model_version).stage == "production"


def test_where_a_person_decides_an_approved_version_is_proposed_and_production_stays(
    services: Services, plan: TrainingPlan
) -> None:
    serving = approve_model(services, shuffled=True)
    careful = lightly(services, promotion_mode="approve")
    result = decide(careful, plan)
    assert result.decision.approved
    assert result.awaits_approval
    assert not result.summary()["promoted"]
    assert services.registry.production_version().version == serving
    staged = services.registry.staging_version()
    assert staged is not None
    assert staged.version == result.model_version
    (entry,) = ledger(services)
    assert (entry["decision"], entry["previous_version"]) == ("proposed", serving)
    run = client_of(services.tracking.tracking_uri).get_run(plan.mlflow_run_id)
    assert run.data.tags["decision"] == "proposed"
    with services.database.transaction() as connection:
        assert result.model_version not in promotions.approved_digests(connection)


def test_old_production_gives_way_to_a_challenger_that_is_not_worse(services: Services, plan: TrainingPlan) -> None:
    development, _ = frozen_rows(services, plan)
    near = training.fit_model("logistic", development, services.policy, {"C": 0.09})
    run = services.tracking.start_run("nearly the same")
    reference = training.draw_reference(near, development, services.policy)
    serving = services.registry.register(near, run.run_id, reference, services.policy).version
    services.registry.promote(serving)
    record_approval(services, serving, days_ago=10)
    assert not decide(services, plan).decision.approved
    record_approval(services, serving, days_ago=100)
    result = decide(services, plan)
    assert result.decision.approved
    assert "Production is 100 days old" in result.decision.reason


def test_a_holdout_that_has_grown_is_judged_where_production_has_not_learned(
    services: Services, plan: TrainingPlan
) -> None:
    serving = promote_model(services, shuffled=True)
    record_approval(services, serving, holdout_rate=0.15)
    result = decide(services, plan)
    _, holdout = frozen_rows(services, plan)
    then = in_holdout(holdout.customer_ids, Policy(holdout_rate=0.15))
    assert result.holdout is not None
    assert result.holdout.row_count == then.sum() < len(holdout.labels)
