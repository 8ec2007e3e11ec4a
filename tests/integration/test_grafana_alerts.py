"""Every alert rule is quiet where nothing is wrong, and fires once its fault is there."""

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from churn.cli import app
from churn.core.grafana import panels
from churn.errors import RunRejected
from churn.jobs.report_drift import report_drift
from churn.jobs.score_customers import score_customers
from churn.jobs.settle_outcomes import settle_outcomes
from churn.jobs.watch import figures
from churn.services import Services
from churn.settings import PROJECT
from tests import traffic, watched
from tests.conftest import TestDatabase, TestMlflow, TestServer
from tests.grafana_queries import DASHBOARDS, RULES, evaluate, rule_of
from tests.jobs import with_changes
from tests.watched import SixWeeks


@dataclasses.dataclass(frozen=True)
class Telecom:
    """A telecom with its jobs, and Grafana's view of it."""

    database: TestDatabase
    services: Services

    def says(self, uid: str, after: timedelta = timedelta()) -> str:
        """What a rule says now, or some time from now, as grafana_reader sees it."""
        with psycopg.connect(self.database.as_role("grafana_reader").url, autocommit=True) as connection:
            return evaluate(rule_of(uid), connection, datetime.now(UTC) + after)

    def write(self, *requests: traffic.LoggedRequest, **counts: int) -> None:
        traffic.write(self.database.as_role("churn_api"), requests, **counts)


@pytest.fixture
def telecom(postgres: TestServer, six_weeks: SixWeeks, mlflow_server: TestMlflow, tmp_path: Path) -> Iterator[Telecom]:
    """The healthy telecom, for one test to break."""
    copy = postgres.copy(six_weeks.database.name, "churn_alerts")
    services = watched.open_services(copy, mlflow_server, tmp_path)
    services.registry.promote(six_weeks.model_version)  # other tests of the session move the alias
    yield Telecom(copy, services)
    postgres.drop(copy.name)


@pytest.mark.parametrize("uid", [rule["uid"] for rule in RULES])
def test_a_rule_is_quiet_where_nothing_is_wrong(telecom: Telecom, uid: str) -> None:
    assert telecom.says(uid) == "Normal"


def test_the_command_says_what_the_rules_say_and_ends_with_1_where_one_fires(
    telecom: Telecom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHURN_DATABASE_URL", telecom.database.as_role("churn_pipeline").url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", telecom.services.tracking.tracking_uri)
    monkeypatch.setenv("CHURN_GRAFANA_DATABASE_URL", telecom.database.as_role("grafana_reader").url)
    quiet = CliRunner().invoke(app, ["alerts", "--json"], catch_exceptions=False)
    assert {each["title"]: each["state"] for each in json.loads(quiet.stdout)} == {
        rule["title"]: "Normal" for rule in RULES
    }
    assert quiet.exit_code == 0
    watched.deliver_rubbish(telecom.services, watched.days_ago(3))
    told = CliRunner().invoke(app, ["alerts", "--json"], catch_exceptions=False)
    assert told.exit_code == 1
    assert [each["title"] for each in json.loads(told.stdout) if each["state"] == "Alerting"] == ["A file was refused"]


def test_the_numbers_of_the_dashboards_are_shown_in_the_terminal(telecom: Telecom) -> None:
    shown = {each.title: each for each in figures(telecom.database.as_role("grafana_reader"), PROJECT)}
    stats = [panel["title"] for board in DASHBOARDS.values() for panel in panels(board) if panel["type"] == "stat"]
    assert sorted(shown) == sorted(stats)
    assert [title for title, figure in shown.items() if figure.value is None] == []
    assert shown["Version that serves"].value == telecom.services.registry.production_version().version
    assert shown["Customers in the published table"].value == watched.COUNT - 15


def test_scores_are_late_once_a_night_is_missing(telecom: Telecom) -> None:
    assert telecom.says("churn-scores-late", after=timedelta(hours=25)) == "Normal"
    assert telecom.says("churn-scores-late", after=timedelta(hours=27)) == "Alerting"
    watched.a_night(with_changes(telecom.services, policy=telecom.services.policy.model_copy(update={"seed": 5})))
    assert telecom.says("churn-scores-late", after=timedelta(hours=25)) == "Normal"


def test_a_refused_file_is_told_until_its_day_is_there(telecom: Telecom) -> None:
    day = watched.days_ago(3)
    watched.deliver_rubbish(telecom.services, day)
    assert telecom.says("churn-file-refused") == "Alerting"
    assert telecom.says("churn-quarantine-above-cap") == "Normal"
    watched.deliver(telecom.services, day, seed=8)
    assert telecom.says("churn-file-refused") == "Normal"


def test_a_file_with_too_many_bad_rows_is_above_the_cap_until_the_next_is_not(telecom: Telecom) -> None:
    day = watched.days_ago(3)
    watched.deliver(telecom.services, day, bad_count=150, seed=8)
    assert telecom.says("churn-quarantine-above-cap") == "Alerting"
    assert telecom.says("churn-file-refused") == "Alerting"
    watched.deliver(telecom.services, day, bad_count=75, seed=9)
    assert telecom.says("churn-quarantine-above-cap") == "Normal"


def test_a_rejected_run_is_told_until_the_next_is_published(telecom: Telecom) -> None:
    day = watched.days_ago(3)
    watched.deliver(telecom.services, day, seed=8, **watched.CHANGED)
    with pytest.raises(RunRejected):
        score_customers(telecom.services, day=day)
    assert telecom.says("churn-run-rejected") == "Alerting"
    watched.let_count(telecom.services, watched.deliver(telecom.services, day, seed=8).extract.source_url)
    watched.a_night(telecom.services, day=day)
    assert telecom.says("churn-run-rejected") == "Normal"


def test_customers_have_drifted_once_two_reports_say_so(telecom: Telecom) -> None:
    policy = telecom.services.policy.model_copy(update={"drifted_column_rate": 0.2, "maximum_lost_customers_rate": 1})
    drifting = with_changes(telecom.services, policy=policy)
    path = watched.deliver(drifting, watched.today(), seed=9, **watched.CHANGED).extract.source_url
    watched.let_count(drifting, path)
    assert report_drift(drifting).verdict.verdict == "drifted"
    assert telecom.says("churn-customers-drifted") == "Normal"
    report_drift(drifting)
    assert telecom.says("churn-customers-drifted") == "Alerting"
    assert telecom.says("churn-customers-drifted", after=timedelta(hours=4)) == "NoData"


def test_drift_reports_are_late_after_three_hours(telecom: Telecom) -> None:
    assert telecom.says("churn-drift-reports-late", after=timedelta(hours=2.9)) == "Normal"
    assert telecom.says("churn-drift-reports-late", after=timedelta(hours=3.1)) == "Alerting"


def test_a_model_is_worse_than_estimated_when_scores_say_nothing_of_what_became_true(telecom: Telecom) -> None:
    """Customers of 39 days ago, of whom others left than their features had it."""
    watched.deliver(telecom.services, watched.days_ago(39), seed=21)
    watched.a_night(telecom.services, day=watched.days_ago(39))
    watched.deliver(telecom.services, watched.days_ago(9), with_churn=True, seed=22)
    assert telecom.says("churn-worse-than-estimated") == "Normal"
    (settled,) = settle_outcomes(telecom.services)
    assert settled.roc_auc is not None
    assert settled.roc_auc < 0.6
    assert telecom.says("churn-worse-than-estimated") == "Alerting"


def test_the_api_fails_once_one_request_in_a_hundred_does(telecom: Telecom) -> None:
    now = datetime.now(UTC)
    telecom.write(*[traffic.answered(now) for _ in range(300)], *[traffic.failed(now, 422, "invalid-fields")] * 50)
    assert telecom.says("churn-api-errors") == "Normal"
    telecom.write(*[traffic.failed(now, 500, "internal-error") for _ in range(9)])
    assert telecom.says("churn-api-errors") == "Alerting"
    assert telecom.says("churn-api-errors", after=timedelta(minutes=30)) == "NoData"


def test_one_failure_of_a_few_requests_is_no_alarm(telecom: Telecom) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    telecom.write(*[traffic.answered(later)] * 18, traffic.failed(later, 500, "internal-error"))
    assert telecom.says("churn-api-errors", after=timedelta(hours=1, minutes=1)) == "NoData"


def test_the_api_is_slow_by_single_requests_and_not_by_batches(telecom: Telecom) -> None:
    now = datetime.now(UTC)
    batches = [traffic.answered(now, 5_000.0, route="/v1/predict/batch") for _ in range(200)]
    telecom.write(*batches)
    assert telecom.says("churn-api-slow") == "Normal"
    telecom.write(*[traffic.answered(now, milliseconds) for milliseconds in traffic.durations(200, median=400.0)])
    assert telecom.says("churn-api-slow") == "Alerting"


def test_lost_rows_of_the_log_are_told_for_a_quarter_of_an_hour(telecom: Telecom) -> None:
    telecom.write(dropped_count=3)
    assert telecom.says("churn-log-rows-lost") == "Alerting"
    assert telecom.says("churn-log-rows-lost", after=timedelta(minutes=16)) == "Normal"


def test_an_empty_database_wakes_nobody_but_says_that_there_are_no_scores(churn_database: TestDatabase) -> None:
    with psycopg.connect(churn_database.as_role("grafana_reader").url, autocommit=True) as connection:
        said = {rule["uid"]: evaluate(rule, connection, datetime.now(UTC)) for rule in RULES}
    assert "Alerting" not in said.values()
    assert said["churn-scores-late"] == "NoData"
    assert rule_of("churn-scores-late")["noDataState"] == "NoData"
