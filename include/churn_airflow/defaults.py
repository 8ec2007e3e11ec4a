"""What all DAGs share: retries, owner, the notice on failure."""

from datetime import timedelta
from typing import Any

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable

from churn_airflow.assets import LANDED_EXTRACTS
from churn_airflow.notices import notice_of_failure

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "churn",
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "on_failure_callback": notice_of_failure,
}


def at(cron: str) -> CronTriggerTimetable:
    """A schedule in UTC, for a DAG without start date.

    Such a DAG waits for its next hour when it is first unpaused. With a start date, or with `run_immediately` False,
    Airflow runs an hour that has just passed, before there is anything to work on.
    """
    return CronTriggerTimetable(cron, timezone="UTC", run_immediately=timedelta(0))


def at_or_when_landed(cron: str) -> CronTriggerTimetable | AssetOrTimeSchedule:
    """A schedule in UTC that a landed file brings forward where CHURN_WATCH_LANDING is set."""
    from churn.settings import Settings

    if not Settings().watch_landing:
        return at(cron)
    return AssetOrTimeSchedule(timetable=at(cron), assets=[LANDED_EXTRACTS])
