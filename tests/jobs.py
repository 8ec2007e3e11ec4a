"""What tests of jobs start from: admitted customers and a Production model."""

import dataclasses
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from psycopg.types.json import Jsonb

from churn.core import training
from churn.core.training import TrainingData
from churn.errors import NoProductionModel
from churn.jobs.decide_promotion import Retraining, decide_promotion
from churn.jobs.plan_training import plan_training
from churn.jobs.train_candidate import train_candidate
from churn.jobs.validate_customers import validate_customers
from churn.services import Services
from churn.simulator import write_extract

DAY = date(2026, 11, 22)
# What a search costs is not what most tests are about.
LIGHT = {
    "fold_count": 2, "nested_repeat_count": 1, "nested_trial_count": 1, "search_fold_count": 2, "search_trial_count": 2,
}  # fmt: skip
_registered: dict[tuple[str, int, int, bool], int] = {}


def with_changes(services: Services, **changes: Any) -> Services:
    """The same services but for what is named."""
    return dataclasses.replace(services, **changes)


def light_policy(**decisions: Any) -> str:
    """The text of a policy file whose searches are short; `decisions` change it further."""
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in (LIGHT | decisions).items())


def lightly(services: Services, **decisions: Any) -> Services:
    """The same services under a policy whose searches are short; `decisions` change it further."""
    return with_changes(services, policy=services.policy.model_copy(update=LIGHT | decisions))


def admit_simulated(
    services: Services,
    count: int,
    day: date = DAY,
    seed: int = 1,
    with_churn: bool = True,
    change: dict[str, str] | None = None,
) -> pd.DataFrame:
    """Land an extract of simulated customers and admit it; `change` sets columns to one value. Returns its rows."""
    path = Path(services.landing.url) / f"customers-{day}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_extract(path, count, seed, with_churn=with_churn)
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    if change:
        rows = rows.assign(**change)
        rows.to_csv(path, index=False)
    # The telecoms of tests grow and shrink at will.
    anything_goes = {"minimum_row_count_ratio": 0, "maximum_row_count_ratio": 1e9, "maximum_lost_customers_rate": 1}
    policy = services.policy.model_copy(update=anything_goes)
    (outcome,) = validate_customers(with_changes(services, policy=policy), str(path), replace=True)
    assert outcome.extract.admitted_count == count
    return rows


def retrain_logistic(services: Services) -> Retraining:
    """A retraining whose only candidate is the logistic regression, which takes a second."""
    plan = plan_training(services)
    return decide_promotion(services, plan, [train_candidate(services, plan, "logistic")])


def simulated_training(count: int, seed: int) -> TrainingData:
    """Labelled simulated customers as training sees them."""
    from churn.simulator import simulate

    frame = pd.concat(list(simulate(count, seed)), ignore_index=True)
    return TrainingData.from_extract(frame, DAY, "0" * 64)


def promote_model(services: Services, seed: int = 1, training_seed: int = 1, shuffled: bool = False) -> int:
    """Make a small logistic model Production and return its version; `shuffled` labels make it know nothing."""
    number = register_model(services, seed, training_seed, shuffled)
    services.registry.promote(number)
    return number


def register_model(services: Services, seed: int = 1, training_seed: int = 1, shuffled: bool = False) -> int:
    """Register a small logistic model and return its version: the same one is registered once for a session's tests."""
    wanted = (services.registry.tracking_uri, seed, training_seed, shuffled)
    if wanted not in _registered:
        _registered[wanted] = _train_and_register(services, seed, training_seed, shuffled)
    return _registered[wanted]


def approve_model(services: Services, seed: int = 1, shuffled: bool = False, days_ago: float = 0, **policy: Any) -> int:
    """`promote_model` with the entry of the ledger that the gate would have made some days ago, under a policy."""
    number = promote_model(services, seed, shuffled=shuffled)
    record_approval(services, number, days_ago, **policy)
    return number


def record_approval(
    services: Services, model_version: int, days_ago: float = 0, replaced: int | None = None, **policy: Any
) -> None:
    """The entry of the ledger that the gate makes when it promotes a version."""
    digest = services.registry.version(model_version).digest
    decided = services.policy.model_copy(update=policy).model_dump(mode="json")
    with services.database.transaction() as connection:
        connection.execute(
            "INSERT INTO churn.promotions"
            " (decision, model_version, previous_version, reason, evidence, policy, decided_at)"
            " VALUES ('promoted', %s, %s, 'The challenger meets every rule.', %s, %s, now() - %s * interval '1 day')",
            (model_version, replaced, Jsonb({"digest": digest}), Jsonb(decided), days_ago),
        )


def approve(services: Services, seed: int) -> int:
    """Let the version of a seed become Production, in place of the one that serves, with its entry of the ledger."""
    try:
        before = services.registry.production_version().version
    except NoProductionModel:
        before = None
    number = promote_model(services, seed)
    record_approval(services, number, replaced=before)
    return number


def _train_and_register(services: Services, seed: int, training_seed: int, shuffled: bool) -> int:
    data = simulated_training(1_500, training_seed)
    if shuffled:
        data = dataclasses.replace(data, labels=np.random.default_rng(0).permutation(data.labels))
    policy = services.policy.model_copy(update={"seed": seed})
    model = training.fit_model("logistic", data, policy, {"C": 0.05 * seed})
    run = services.tracking.start_run("test")
    return services.registry.register(model, run.run_id, training.draw_reference(model, data, policy), policy).version
