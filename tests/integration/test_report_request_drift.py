"""Drift of what callers ask about: held against the same reference, shown, and never a reason to train."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from churn.columns import FEATURES
from churn.db.database import Database
from churn.jobs.report_drift import report_drift, request_retraining
from churn.jobs.report_request_drift import report_request_drift
from churn.policy import Policy
from churn.services import Services
from churn.simulator import simulate
from tests import traffic
from tests.conftest import TestDatabase
from tests.jobs import admit_simulated, promote_model, with_changes

DRIFTING = Policy(drifted_column_rate=0.1, drifted_reports_needed=1, drifted_reports_of=1)


@pytest.fixture
def api_role(churn_database: TestDatabase) -> Database:
    return churn_database.as_role("churn_api")


def asked_about(
    count: int, seed: int = 5, fields: tuple[str, ...] | None = None, **change: Any
) -> list[dict[str, Any]]:
    """Simulated customers as callers send them, of `fields` only and with `change`."""
    frame = pd.concat(list(simulate(count, seed)), ignore_index=True).assign(**change)
    frame["TotalCharges"] = pd.to_numeric(frame["TotalCharges"], errors="coerce").fillna(0.0)
    names = fields or tuple(column.name for column in FEATURES)
    return frame[list(names)].to_dict("records")


def ask(api_role: Database, model_version: int, records: list[dict[str, Any]], hours_ago: float = 1) -> None:
    at = datetime.now(UTC) - timedelta(hours=hours_ago)
    requests = [traffic.answered(at, inputs=[record], model_version=model_version) for record in records]
    traffic.write(api_role, requests)


def judged_columns(services: Services, drift_report_id: int) -> dict[str, bool]:
    with services.database.transaction() as connection:
        rows = connection.execute(
            "SELECT column_name, drifted FROM monitoring.drift_columns WHERE drift_report_id = %s", (drift_report_id,)
        ).fetchall()
    return {row["column_name"]: row["drifted"] for row in rows}


def test_callers_who_ask_about_customers_like_ours_show_no_drift(services: Services, api_role: Database) -> None:
    version = promote_model(services)
    ask(api_role, version, asked_about(1_500))
    outcome = report_request_drift(services)
    drifted = judged_columns(services, outcome.drift_report_id)
    assert outcome.verdict.verdict == "stable"
    assert outcome.current_count == 1_500
    assert set(drifted) == {*(column.name for column in FEATURES), "churn_probability"}
    assert not any(is_drifted for name, is_drifted in drifted.items() if name != "churn_probability")
    assert outcome.page
    assert (services.reports.folder / outcome.page).stat().st_size > 100_000


def test_callers_who_ask_about_others_are_shown_and_ask_for_no_retraining(
    services: Services, api_role: Database
) -> None:
    drifting = with_changes(services, policy=DRIFTING)
    admit_simulated(services, count=1_000)
    version = promote_model(services)
    ask(api_role, version, asked_about(500, Contract="Two year", PaymentMethod="Mailed check", tenure=70))
    requests = report_request_drift(drifting)
    assert requests.verdict.verdict == "drifted"
    assert "Contract" in requests.verdict.reason
    customers = report_drift(drifting)
    assert customers.verdict.verdict == "stable"
    assert request_retraining(drifting, customers) is None
    with services.database.transaction() as connection:
        found = connection.execute(
            "SELECT source, verdict, drifted_rate_limit FROM monitoring.drift_reports ORDER BY drift_report_id"
        ).fetchall()
        asked_for = connection.execute("SELECT FROM churn.retraining_requests").fetchall()
    assert [tuple(row.values()) for row in found] == [("requests", "drifted", 0.1), ("customers", "stable", 0.1)]
    assert asked_for == []


def test_fields_that_few_callers_give_are_not_judged(services: Services, api_role: Database) -> None:
    version = promote_model(services)
    ask(api_role, version, asked_about(300, fields=("tenure", "Contract", "MonthlyCharges")))
    ask(api_role, version, asked_about(50))
    outcome = report_request_drift(services)
    assert set(judged_columns(services, outcome.drift_report_id)) == {
        "tenure", "Contract", "MonthlyCharges", "churn_probability",
    }  # fmt: skip


def test_too_few_answers_say_so_and_judge_nothing(services: Services, api_role: Database) -> None:
    version = promote_model(services)
    ask(api_role, version, asked_about(199))
    ask(api_role, version, asked_about(500), hours_ago=25)
    ask(api_role, version + 1, asked_about(500))
    outcome = report_request_drift(services)
    assert outcome.verdict.verdict == "not enough rows"
    assert outcome.verdict.reason == "199 answers of the API, at least 200 are needed."
    assert outcome.page is None
    assert judged_columns(services, outcome.drift_report_id) == {}


def test_answers_without_a_field_judge_nothing(services: Services, api_role: Database) -> None:
    version = promote_model(services)
    ask(api_role, version, [{}] * 250)
    assert report_request_drift(services).verdict.verdict == "not enough rows"


def test_no_model_is_an_answer(services: Services) -> None:
    assert report_request_drift(services).verdict.verdict == "no reference"
