"""Drift: numbers against the reference that travels with the model, and an answer in every case."""

from datetime import date

import pytest

from churn.db.database import Database
from churn.jobs.report_drift import report_drift, request_retraining
from churn.jobs.score_customers import score_customers
from churn.policy import Policy
from churn.services import Services
from tests.jobs import admit_simulated, promote_model, with_changes

CHANGED = {
    "Contract": "Two year", "PaymentMethod": "Mailed check", "MonthlyCharges": "20.05", "TotalCharges": "20.05",
    "tenure": "1",
}  # fmt: skip


def _admit_changed(services: Services, count: int) -> None:
    """The next day, other customers who differ from the reference in every column of CHANGED."""
    admit_simulated(services, count=count, day=date(2026, 11, 23), seed=3, change=CHANGED)


def _requests(database: Database) -> int:
    with database.transaction() as connection:
        row = connection.execute("SELECT count(*) AS n FROM churn.retraining_requests").fetchone()
        return int((row or {})["n"])


def test_customers_like_the_reference_are_stable(services: Services) -> None:
    admit_simulated(services, count=2_000)
    promote_model(services)
    score_customers(services)
    outcome = report_drift(services)
    assert outcome.verdict.verdict == "stable"
    with services.database.transaction() as connection:
        rows = connection.execute("SELECT * FROM monitoring.drift_columns").fetchall()
    assert len(rows) == 20
    assert "churn_probability" in {row["column_name"] for row in rows}
    assert outcome.page
    assert (services.reports.folder / outcome.page).stat().st_size > 100_000
    assert request_retraining(services, outcome) is None


def test_customers_who_changed_are_found_and_named(services: Services) -> None:
    admit_simulated(services, count=2_000)
    promote_model(services)
    _admit_changed(services, count=2_000)
    outcome = report_drift(with_changes(services, policy=Policy(drifted_column_rate=0.2)))
    assert outcome.verdict.verdict == "drifted"
    for name in CHANGED:
        assert name in outcome.verdict.reason


def test_a_retraining_is_asked_for_once_and_then_cools_down(services: Services) -> None:
    policy = Policy(drifted_column_rate=0.2, drifted_reports_needed=2, drifted_reports_of=3)
    drifting = with_changes(services, policy=policy)
    admit_simulated(services, count=1_000)
    promote_model(services)
    _admit_changed(services, count=1_000)
    asked = [request_retraining(drifting, report_drift(drifting)) for _ in range(4)]
    assert asked[0] is None
    assert asked[1] is not None
    assert asked[2:] == [None, None]
    assert _requests(services.database) == 1
    with services.database.transaction() as connection:
        connection.execute("UPDATE churn.retraining_requests SET settled_at = now(), result = 'kept'")
    assert request_retraining(drifting, report_drift(drifting)) is None, "the cool-down has not passed"
    without_cooldown = with_changes(drifting, policy=policy.model_copy(update={"retraining_cooldown_days": 0}))
    assert request_retraining(without_cooldown, report_drift(without_cooldown)) is not None


def test_reporting_changes_no_customer_and_no_score(services: Services) -> None:
    admit_simulated(services, count=500)
    promote_model(services)
    score_customers(services)

    def state() -> list[dict[str, object]]:
        with services.database.transaction() as connection:
            return connection.execute(
                "SELECT md5(string_agg(c::text, '' ORDER BY customer_id)) AS digest FROM churn.customers AS c"
                " UNION ALL SELECT md5(string_agg(s::text, '' ORDER BY customer_id)) FROM crm.churn_scores AS s"
            ).fetchall()

    before = state()
    report_drift(services)
    assert state() == before


def test_no_model_is_an_answer(services: Services) -> None:
    admit_simulated(services, count=300)
    outcome = report_drift(services)
    assert outcome.verdict.verdict == "no reference"
    assert outcome.page is None


@pytest.mark.parametrize("count", [0, 50])
def test_too_few_customers_are_an_answer(services: Services, count: int) -> None:
    if count:
        admit_simulated(services, count=count)
    promote_model(services)
    outcome = report_drift(services)
    assert outcome.verdict.verdict == "not enough rows"
    assert outcome.current_count == count


def test_only_the_newest_pages_are_kept(services: Services) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    keeping_two = with_changes(services, policy=Policy(drift_reports_kept=2))
    pages = [report_drift(keeping_two).page for _ in range(3)]
    kept = sorted(f"drift/{path.name}" for path in (services.reports.folder / "drift").iterdir())
    assert kept == sorted(page for page in pages[1:] if page)
