"""A telecom that has been at work for six weeks, by its own jobs: what dashboards and alerts are held against."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
from pydantic import SecretStr

from churn.columns import FEATURES
from churn.db.database import Database
from churn.jobs.report_drift import report_drift
from churn.jobs.report_request_drift import report_request_drift
from churn.jobs.retrain_model import retrain_model
from churn.jobs.score_customers import score_customers
from churn.jobs.settle_outcomes import settle_outcomes
from churn.jobs.summarise_scores import summarise_scores
from churn.jobs.validate_customers import validate_customers
from churn.records import ExtractOutcome
from churn.services import Services
from churn.settings import Settings
from churn.simulator import simulate, write_extract
from tests import traffic
from tests.conftest import TestDatabase, TestMlflow
from tests.jobs import lightly

COUNT = 1_500
SEED = 3
CHANGED = {
    "Contract": "Two year", "PaymentMethod": "Mailed check", "MonthlyCharges": "20.05", "TotalCharges": "20.05",
    "tenure": "1",
}  # fmt: skip


@dataclass(frozen=True)
class SixWeeks:
    """A database in which a telecom has been at work, and the version that serves."""

    database: TestDatabase
    model_version: int


def today() -> date:
    """The day in UTC."""
    return datetime.now(UTC).date()


def days_ago(count: int) -> date:
    """The day some days before today."""
    return today() - timedelta(days=count)


def open_services(database: TestDatabase, mlflow: TestMlflow, home: Path) -> Services:
    """Services of a database under a policy whose searches are short."""
    settings = Settings(
        home=home,
        database_url=SecretStr(database.as_role("churn_pipeline").url),
        MLFLOW_TRACKING_URI=mlflow.tracking_uri,
    )
    return lightly(Services.from_settings(settings))


def deliver(
    services: Services, day: date, with_churn: bool = False, seed: int = SEED, bad_count: int = 0, **change: str
) -> ExtractOutcome:
    """Land an extract as the telecom does and let the door decide: `bad_count` rows have an impossible tenure."""
    path = Path(services.landing.url) / f"customers-{day}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_extract(path, COUNT, seed, with_churn=with_churn)
    rows = pd.read_csv(path, dtype=str, keep_default_na=False).assign(**change)
    rows.loc[: bad_count - 1, "tenure"] = "9999"
    rows.to_csv(path, index=False)
    (outcome,) = validate_customers(services, str(path))
    return outcome


def deliver_rubbish(services: Services, day: date) -> ExtractOutcome:
    """Land a file that is no extract."""
    path = Path(services.landing.url) / f"customers-{day}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("this is no extract\n", "utf-8")
    (outcome,) = validate_customers(services, str(path))
    return outcome


def a_night(services: Services, day: date | None = None) -> int:
    """Score, publish and sum up; the number of the run."""
    run = score_customers(services, day=day)
    summarise_scores(services)
    return run.scoring_run_id


def live(services: Services, api_role: Database) -> int:
    """Six weeks: learn, score, meet what became true, score again, answer callers, report drift.

    Returns the version that serves. What is usual happens: one file is refused and mended, some rows are set aside,
    and callers make mistakes.
    """
    deliver(services, days_ago(41), with_churn=True)
    version = retrain_model(services).model_version
    deliver(services, days_ago(40))
    a_night(services)
    deliver(services, days_ago(10), with_churn=True)
    settle_outcomes(services)
    deliver_rubbish(services, days_ago(2))
    for ago in (2, 1, 0):
        deliver(services, days_ago(ago), bad_count=15)
        a_night(services)
    call(api_role, version)
    for _ in range(2):
        report_drift(services)
        report_request_drift(services)
    return version


def call(api_role: Database, version: int, count: int = 900) -> None:
    """Two hours of callers: answers of two versions and arms, a batch, mistakes of theirs, some turned away."""
    now = datetime.now(UTC)
    frame = pd.concat(list(simulate(count, SEED + 1)), ignore_index=True)
    frame["TotalCharges"] = pd.to_numeric(frame["TotalCharges"], errors="coerce").fillna(0.0)
    records = frame[[column.name for column in FEATURES]].to_dict("records")
    requests = []
    for number, (record, milliseconds) in enumerate(zip(records, traffic.durations(count), strict=True)):
        at = now - timedelta(hours=2) * (1 - number / count)
        challenged = number % 10 == 0
        arm = "challenger" if challenged else "production"
        route = "/predict" if number % 3 else "/v1/predict"
        served = version + challenged
        requests.append(traffic.answered(at, milliseconds, [record], served, 0.2, route, arm))
        if number % 100 == 0:
            requests.append(traffic.failed(at, 422, "invalid-fields"))
    requests.append(traffic.answered(now, 900.0, records[:200], version, 0.2, "/v1/predict/batch"))
    traffic.write(api_role, requests, limited_count=4, denied_count=2)


def let_count(services: Services, file: str) -> None:
    """Let a changed file of an admitted day take its place, as an operator does."""
    validate_customers(services, file, replace=True)
