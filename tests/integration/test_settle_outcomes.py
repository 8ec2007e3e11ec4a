"""Old scores meet the truth: only what was observed after the snapshot counts, and only once its horizon passed."""

from datetime import date, timedelta

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from churn.jobs.score_customers import score_customers
from churn.jobs.settle_outcomes import settle_outcomes
from churn.services import Services
from tests.jobs import admit_simulated, promote_model

SCORED_ON = date(2026, 8, 1)
HORIZON = timedelta(days=30)


def _scored(services: Services, count: int = 1_000) -> None:
    admit_simulated(services, count=count, day=SCORED_ON, with_churn=False)
    promote_model(services, training_seed=9)
    score_customers(services)


def test_labels_that_came_with_the_snapshot_settle_nothing(services: Services) -> None:
    admit_simulated(services, count=500, day=SCORED_ON)
    promote_model(services)
    score_customers(services)
    assert settle_outcomes(services) == []


def test_a_run_is_not_settled_before_its_horizon_has_passed(services: Services) -> None:
    _scored(services, 500)
    admit_simulated(services, count=500, day=SCORED_ON + HORIZON - timedelta(days=1))
    assert settle_outcomes(services) == []


def test_a_due_run_is_settled_once_with_its_realised_measures(services: Services) -> None:
    _scored(services)
    labelled = admit_simulated(services, count=1_000, day=SCORED_ON + HORIZON)
    (settled,) = settle_outcomes(services)
    with services.database.transaction() as connection:
        rows = connection.execute(
            "SELECT s.churn_probability AS p, o.churned FROM churn.scores s JOIN churn.outcomes o USING (customer_id)"
        ).fetchall()
        recorded = connection.execute("SELECT * FROM monitoring.realised_performance").fetchall()
    truth, scored = np.array([row["churned"] for row in rows]), np.array([row["p"] for row in rows])
    assert settled.outcome_count == 1_000
    assert settled.churn_rate == pytest.approx((labelled.Churn == "Yes").mean())
    assert settled.roc_auc == pytest.approx(roc_auc_score(truth, scored))
    assert settled.roc_auc_low is not None
    assert settled.roc_auc_high is not None
    assert settled.roc_auc_low < settled.roc_auc < settled.roc_auc_high
    assert settled.brier == pytest.approx(np.mean((scored - truth) ** 2))
    assert len(recorded) == 1
    with services.database.transaction() as connection:
        tenths = connection.execute("SELECT * FROM monitoring.realised_deciles ORDER BY decile").fetchall()
    assert [tenth["customer_count"] for tenth in tenths] == [100] * 10
    assert np.mean([tenth["churn_rate"] for tenth in tenths]) == pytest.approx(settled.churn_rate)
    assert tenths[0]["churn_rate"] / settled.churn_rate == pytest.approx(settled.lift_10)
    assert settle_outcomes(services) == []


def test_leaving_after_the_horizon_is_not_churn_within_it(services: Services) -> None:
    _scored(services, 300)
    admit_simulated(services, count=300, day=SCORED_ON + HORIZON, change={"Churn": "No"})
    admit_simulated(services, count=300, day=SCORED_ON + 2 * HORIZON, change={"Churn": "Yes"})
    (settled,) = settle_outcomes(services)
    assert settled.churn_rate == 0
    assert settled.roc_auc is None


def test_a_customer_who_vanished_without_a_word_has_no_outcome(services: Services) -> None:
    _scored(services, 300)
    admit_simulated(services, count=120, day=SCORED_ON + HORIZON)
    (settled,) = settle_outcomes(services)
    assert settled.outcome_count == 120
