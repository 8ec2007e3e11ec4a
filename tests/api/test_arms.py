"""A/B and shadow: who answers whom, what is logged of it, and what the comparison says once outcomes have settled."""

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
from flask import Flask
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from churn.core.arms import compare_shadow, compare_split, is_challenged
from churn.core.engines import Engine
from churn.core.evaluation import auc_difference, auc_interval, unpaired_auc_difference
from churn.core.features import Matrix
from churn.core.profit import RetentionEconomics
from churn.db import api_requests
from churn.db.api_requests import Answer, Batch, LoggedRequest
from churn.jobs.compare_arms import compare_arms
from churn.policy import Policy
from churn.registry import MODEL_NAME, STAGING_ALIAS
from churn.services import Services
from churn_api.arms import Arms
from churn_api.short_requests import read_short
from tests.api.callers import api_over, logged, wait_until
from tests.api.conftest import VERBATIM, TestRegistry
from tests.benchmarks.wire import request_of
from tests.conftest import TestDatabase
from tests.jobs import admit_simulated, with_changes

CUSTOMERS = [f"T-{number:05d}" for number in range(60)]


def _raise(matrix: Matrix) -> NDArray[np.float64]:
    raise RuntimeError(f"no answer for {len(matrix)} customers")


BROKEN: dict[str, Engine] = {
    "raises": Engine("broken", _raise),
    "no probability": Engine("broken", lambda matrix: np.full(len(matrix), np.nan)),
}
ASKED_AT = datetime.now(UTC) - timedelta(days=10)


@pytest.fixture
def staged(registry: TestRegistry) -> Iterator[TestRegistry]:
    """Version 1 in Production and version 2 in staging."""
    registry.registry.stage(2)
    yield registry
    registry.registry._client.delete_registered_model_alias(MODEL_NAME, STAGING_ALIAS)


def with_policy(folder: Path, text: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def split(staged: TestRegistry, churn_database: TestDatabase, tmp_path: Path) -> Iterator[Flask]:
    """The API in which the challenger answers half of the customers."""
    with api_over(staged, churn_database, with_policy(tmp_path, "challenger_share = 0.5")) as app:
        yield app


def versions(app: Flask) -> dict[str, int]:
    """Which version answers each customer."""
    client = app.test_client()
    answers = [client.post("/predict", json={**VERBATIM, "customerID": customer}) for customer in CUSTOMERS]
    return {answer.get_json()["customer_id"]: answer.get_json()["model_version"] for answer in answers}


def written(app: Flask, database: TestDatabase) -> list[dict[str, Any]]:
    wait_until(lambda: app.extensions["journal"].standing.waiting == 0)
    return logged(database)


def test_half_of_the_customers_are_answered_by_the_challenger_and_always_the_same(
    split: Flask, churn_database: TestDatabase, staged: TestRegistry
) -> None:
    first = versions(split)
    assert versions(split) == first
    assert {customer for customer in CUSTOMERS if is_challenged(customer, 2, 0.5)} == {
        customer for customer, version in first.items() if version == 2
    }
    assert 10 < list(first.values()).count(2) < 50
    rows = written(split, churn_database)
    assert {(row["arm"], row["model_version"], row["challenger_version"]) for row in rows} == {
        ("production", 1, 2),
        ("challenger", 2, 2),
    }
    for row in rows:
        assert row["churn_probability"] == staged.models[row["model_version"]].predict_record(VERBATIM)


def test_where_customers_are_divided_nobody_is_answered_without_the_framework(split: Flask, app: Flask) -> None:
    asked = read_short(request_of(("x", 80), "/v1/predict", json.dumps(VERBATIM).encode(), {}))
    assert asked is not None
    assert split.extensions["at_once"].answer([asked]) == [None]
    assert app.extensions["at_once"].answer([asked]) != [None]


def test_without_an_id_the_request_decides(split: Flask) -> None:
    client = split.test_client()
    for number in range(20):
        headers = {"X-Request-ID": f"r-{number}"}
        answer = client.post("/predict", json=VERBATIM, headers=headers).get_json()
        assert answer["model_version"] == (2 if is_challenged(f"r-{number}", 2, 0.5) else 1)


@pytest.mark.parametrize("defect", ["raises", "no probability"])
def test_a_challenger_that_fails_is_stood_in_for_by_production_and_counted(
    split: Flask, churn_database: TestDatabase, defect: str
) -> None:
    arms: Arms = split.extensions["arms"]
    assert arms.challenger is not None
    served = arms.challenger.served
    assert served is not None
    arms.challenger.served = dataclasses.replace(served, engine=BROKEN[defect])
    assert set(versions(split).values()) == {1}
    challenged = [customer for customer in CUSTOMERS if is_challenged(customer, 2, 0.5)]
    assert arms.fallback_count == len(challenged)
    rows = written(split, churn_database)
    assert [row["customer_id"] for row in rows if row["arm"] == "fallback"] == challenged
    assert {row["model_version"] for row in rows} == {1}


def test_a_shadow_is_logged_beside_the_answer_and_never_answers(
    staged: TestRegistry, churn_database: TestDatabase, tmp_path: Path
) -> None:
    with api_over(staged, churn_database, with_policy(tmp_path, "shadow_scoring = true")) as app:
        assert set(versions(app).values()) == {1}
        rows = written(app, churn_database)
    assert len(rows) == 2 * len(CUSTOMERS)
    answered, shadows = ([row for row in rows if row["arm"] == arm] for arm in ("production", "shadow"))
    for answer, shadow in zip(answered, shadows, strict=True):
        assert (answer["model_version"], shadow["model_version"]) == (1, 2)
        assert answer["request_id"] == shadow["request_id"]
        assert answer["customer_id"] == shadow["customer_id"]
        assert shadow["churn_probability"] == staged.models[2].predict_record(VERBATIM)
        assert answer["churn_probability"] == staged.models[1].predict_record(VERBATIM)


def test_a_shadow_that_fails_costs_neither_the_answer_nor_its_row(
    staged: TestRegistry, churn_database: TestDatabase, tmp_path: Path
) -> None:
    with api_over(staged, churn_database, with_policy(tmp_path, "shadow_scoring = true")) as app:
        challenger = app.extensions["arms"].challenger
        model = dataclasses.replace(challenger.served.model, estimator=None)
        challenger.served = dataclasses.replace(challenger.served, model=model)
        assert set(versions(app).values()) == {1}
        rows = written(app, churn_database)
    assert [row["arm"] for row in rows] == ["production"] * len(CUSTOMERS)


def test_by_default_the_staging_version_does_nothing(staged: TestRegistry, churn_database: TestDatabase) -> None:
    with api_over(staged, churn_database) as app:
        assert app.extensions["arms"].challenger is None
        assert set(versions(app).values()) == {1}


def test_a_challenger_that_was_promoted_challenges_itself_no_more(split: Flask, staged: TestRegistry) -> None:
    arms: Arms = split.extensions["arms"]
    assert arms.challenging() is not None
    arms.production.served = arms.challenger.served  # type: ignore[union-attr]
    assert arms.challenging() is None
    assert set(versions(split).values()) == {2}


def test_a_greater_share_keeps_who_was_in_it_and_another_challenger_draws_anew() -> None:
    units = [str(number) for number in range(20_000)]
    drawn = {share: {unit for unit in units if is_challenged(unit, 7, share)} for share in (0.0, 0.1, 0.3, 1.0)}
    assert drawn[0.0] == set()
    assert drawn[0.1] < drawn[0.3] < drawn[1.0] == set(units)
    assert len(drawn[0.1]) == pytest.approx(2_000, abs=200)
    other = {unit for unit in units if is_challenged(unit, 8, 0.1)}
    assert len(drawn[0.1] & other) == pytest.approx(200, abs=70)


def test_the_difference_of_other_customers_has_the_variance_of_both() -> None:
    random = np.random.default_rng(4)
    arms = []
    for signal in (1.5, 0.5):
        labels = random.integers(0, 2, 400)
        arms.append((labels, 1 / (1 + np.exp(-(signal * labels + random.normal(size=400))))))
    challenger, production = arms
    difference = unpaired_auc_difference(challenger, production, 0.95)
    halves = [(each.high - each.low) / 2 for each in (auc_interval(*arm, 0.95) for arm in arms)]
    assert difference.value == pytest.approx(roc_auc_score(*challenger) - roc_auc_score(*production))
    assert (difference.high - difference.low) / 2 == pytest.approx(np.hypot(*halves))


def test_a_comparison_on_the_same_customers_is_paired_and_that_of_others_is_not() -> None:
    random = np.random.default_rng(5)
    labels = random.integers(0, 2, 500)
    production = np.clip(labels * 0.3 + random.uniform(0, 0.7, 500), 0, 1)
    challenger = np.clip(production + labels * 0.05, 0, 1)
    economics = RetentionEconomics.from_policy(Policy())
    paired = compare_shadow(2, labels, production, challenger, economics, 0.95)
    unpaired = compare_split(2, (labels, production), (labels, challenger), economics, 0.95)
    assert paired.auc_difference == auc_difference(labels, challenger, production, 0.95)
    assert paired.auc_difference.value == pytest.approx(unpaired.auc_difference.value)
    assert paired.auc_difference.low > unpaired.auc_difference.low
    assert paired.challenger_profit >= paired.production_profit


def ask_about(database: TestDatabase, rows: pd.DataFrame, shadow: bool, at: datetime = ASKED_AT) -> pd.DataFrame:
    """Log one request a customer, as the API would have: the challenger knows who leaves, Production guesses."""
    random = np.random.default_rng(3)
    asked, requests = [], []
    for customer, churn in zip(rows["customerID"], rows["Churn"], strict=True):
        guess, known = random.uniform(), float(np.clip(0.5 * (churn == "Yes") + random.uniform(0, 0.6), 0, 1))
        challenged = not shadow and is_challenged(customer, 2, 0.5)
        answers = [Answer(customer, {"tenure": 1}, known if challenged else guess, "low", 1 + challenged,
                          "challenger" if challenged else "production")]  # fmt: skip
        if shadow:
            answers.append(dataclasses.replace(answers[0], churn_probability=known, model_version=2, arm="shadow"))
        challenger = None if shadow else 2
        requests.append(LoggedRequest(at, uuid4().hex, "/predict", 200, 1.0, None, challenger, tuple(answers)))
        asked.append({"challenged": challenged, "guess": guess, "known": known, "churned": churn == "Yes"})
    api_requests.write(database.as_role("churn_api"), Batch(uuid4(), "test:1", requests, 0))
    return pd.DataFrame(asked)


@pytest.fixture
def settling(services: Services) -> Services:
    """Services whose horizon is a week, so that what was asked ten days ago has settled."""
    return with_changes(services, policy=services.policy.model_copy(update={"horizon_days": 7}))


@pytest.mark.parametrize("shadow", [False, True], ids=["split", "shadow"])
def test_arms_are_compared_when_outcomes_have_settled(
    settling: Services, churn_database: TestDatabase, shadow: bool
) -> None:
    seen_on = (ASKED_AT + timedelta(days=7)).date()
    rows = admit_simulated(settling, 600, day=seen_on)
    asked = ask_about(churn_database, rows, shadow)
    ask_about(churn_database, rows, shadow, at=ASKED_AT + timedelta(hours=1))  # who asks twice counts once
    (found,) = compare_arms(settling)
    challenger = asked if shadow else asked[asked.challenged]
    production = asked if shadow else asked[~asked.challenged]
    assert (found.production_count, found.challenger_count) == (len(production), len(challenger))
    assert found.challenger_auc.value == pytest.approx(roc_auc_score(challenger.churned, challenger.known))
    assert found.production_auc.value == pytest.approx(roc_auc_score(production.churned, production.guess))
    assert found.auc_difference.low > 0
    assert found.challenger_profit > found.production_profit
    compare_arms(settling)
    with churn_database.as_role("grafana_reader").transaction() as connection:
        [recorded] = connection.execute("SELECT * FROM monitoring.arm_comparisons").fetchall()
    assert recorded["design"] == found.design
    assert recorded["auc_difference"] == pytest.approx(found.auc_difference.value)


def test_arms_are_not_compared_before_the_horizon_has_passed(settling: Services, churn_database: TestDatabase) -> None:
    rows = admit_simulated(settling, 200, day=(ASKED_AT + timedelta(days=6)).date(), change={"Churn": "No"})
    ask_about(churn_database, rows, shadow=False)
    assert compare_arms(settling) == []


def test_what_was_known_on_the_day_of_the_request_settles_nothing(
    settling: Services, churn_database: TestDatabase
) -> None:
    rows = admit_simulated(settling, 200, day=ASKED_AT.date())
    ask_about(churn_database, rows, shadow=False)
    assert compare_arms(settling) == []
