"""The DAGs as an operator finds them: importable, documented, retried with a bound, one run at a time."""

import json
import re
from datetime import timedelta

import pendulum
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import coerce_to_core_timetable, encode_timetable
from airflow.timetables.base import TimeRestriction

from churn.core.candidates import CANDIDATES
from churn.settings import PROJECT
from churn_airflow.assets import RETRAINING_REQUESTED
from churn_airflow.defaults import at

SCHEDULED = ["report_drift", "retrain_model", "score_customers", "settle_outcomes", "validate_customers"]
NAMES = sorted([*SCHEDULED, "roll_back_model"])


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(dag_folder=PROJECT / "dags")


@pytest.fixture(params=NAMES)
def dag(bag: DagBag, request: pytest.FixtureRequest) -> DAG:
    return bag.dags[request.param]  # type: ignore[return-value]


def test_every_file_is_one_dag_of_its_own_name(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert sorted(bag.dags) == NAMES
    assert sorted(path.stem for path in (PROJECT / "dags").glob("*.py")) == NAMES


def test_the_doc_says_what_it_reads_what_it_writes_and_what_if_it_fails(dag: DAG) -> None:
    assert dag.doc_md
    for heading in ("**Reads**", "**Writes**", "**If it fails**"):
        assert heading in dag.doc_md


def test_runs_never_overlap_and_the_past_is_not_caught_up(dag: DAG) -> None:
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    assert "churn" in dag.tags


def test_every_task_retries_with_growing_but_bounded_waits_and_tells_people(dag: DAG) -> None:
    for task in dag.tasks:
        assert task.retries == 3, task.task_id
        assert task.retry_exponential_backoff, task.task_id
        assert task.max_retry_delay == timedelta(minutes=10), task.task_id
        assert task.has_on_failure_callback or task.on_failure_callback, task.task_id


def test_the_candidates_of_the_dag_are_those_of_the_library() -> None:
    text = (PROJECT / "dags/retrain_model.py").read_text("utf-8")
    listed = re.search(r"CANDIDATES = \[(.*)\]", text)
    assert listed
    assert tuple(re.findall(r'"(\w+)"', listed[1])) == CANDIDATES


def test_a_rollback_is_by_hand_and_says_why(bag: DagBag) -> None:
    dag = bag.dags["roll_back_model"]
    assert dag.schedule is None
    asked = dag.params.get_param("reason")
    for nothing in (None, "", "  \n"):
        with pytest.raises(ParamValidationError):
            asked.resolve(nothing)
    assert asked.resolve("It alarms everybody.") == "It alarms everybody."


def test_retraining_is_weekly_or_when_asked_for(bag: DagBag) -> None:
    schedule = bag.dags["retrain_model"].schedule
    assert isinstance(schedule, AssetOrTimeSchedule)
    assert list(schedule.asset_condition.objects) == [RETRAINING_REQUESTED]
    assert schedule.timetable == at("0 4 * * 0")


@pytest.mark.parametrize(
    ("dag_id", "cron"),
    [
        ("validate_customers", "0 2 * * *"),
        ("score_customers", "0 3 * * *"),
        ("settle_outcomes", "30 3 * * *"),
        ("report_drift", "0 * * * *"),
    ],
)
def test_each_has_its_hour(bag: DagBag, dag_id: str, cron: str) -> None:
    schedule = bag.dags[dag_id].schedule
    assert isinstance(schedule, CronTriggerTimetable)
    assert schedule == at(cron)


@pytest.mark.parametrize("dag", SCHEDULED, indirect=True)
def test_a_dag_that_is_first_unpaused_waits_for_its_next_hour(dag: DAG, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of the scheduler's own timetable, after the way through the database's JSON."""
    timetable = decode_timetable(json.loads(json.dumps(encode_timetable(coerce_to_core_timetable(dag.schedule)))))
    no_run_yet = TimeRestriction(earliest=dag.start_date, latest=None, catchup=dag.catchup)
    for hours in range(0, 7 * 24, 5):
        now = pendulum.datetime(2026, 11, 22, 0, 7).add(hours=hours)
        monkeypatch.setattr("airflow.timetables.trigger.utcnow", lambda now=now: now)
        info = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=no_run_yet)
        assert info
        assert info.run_after > now
