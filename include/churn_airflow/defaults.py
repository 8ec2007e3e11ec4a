"""What all DAGs share: retries, owner, the notice on failure."""

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.sdk import CronTriggerTimetable

from churn_airflow.notices import notice_of_failure

START_DATE = datetime(2026, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - Airflow serialises this form

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "churn",
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "on_failure_callback": notice_of_failure,
}


def at(cron: str) -> CronTriggerTimetable:
    """A schedule in UTC. A DAG that is unpaused waits for its next hour instead of making up for the last one."""
    return CronTriggerTimetable(cron, timezone="UTC", run_immediately=False)
