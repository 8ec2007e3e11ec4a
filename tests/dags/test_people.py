"""What is read from an answer: who, why, and a name of its own; silence is a no."""

from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

from churn.settings import PROJECT
from churn_airflow.people import read_answer

ANN = {"id": "1", "name": "ann"}


def given(option: str, by: dict[str, str] | None = ANN, reason: str = "", minute: int = 0) -> dict[str, Any]:
    """What Airflow's task returns for an answer."""
    return {
        "chosen_options": [option],
        "params_input": {"reason": reason},
        "responded_by_user": by,
        "responded_at": datetime(2026, 11, 22, 9, minute, tzinfo=UTC),
    }


@pytest.mark.parametrize(
    ("option", "reason", "said"),
    [
        ("Approve", "  the pilot went well ", "Approved by ann: the pilot went well"),
        ("Reject", "", "Rejected by ann."),
    ],
)
def test_an_answer_has_the_name_and_the_words_of_who_gave_it(option: str, reason: str, said: str) -> None:
    answer = read_answer(given(option, reason=reason), "retrain_model run 1")
    assert (answer.approved, answer.by, answer.reason) == (option == "Approve", "ann", said)


def test_silence_is_a_no_of_nobody() -> None:
    answer = read_answer(given("Reject", by=None), "retrain_model run 1")
    assert (answer.approved, answer.by, answer.reason) == (False, None, "Nobody answered in time.")


def test_another_answer_to_the_same_run_is_another_request() -> None:
    first, same, later = (read_answer(given("Reject", minute=minute), "run 1").request for minute in (0, 0, 5))
    assert first == same != later


def test_the_question_is_answered_no_before_the_next_weekly_run() -> None:
    dag = DagBag(dag_folder=PROJECT / "dags/retrain_model.py").dags["retrain_model"]
    question: Any = dag.get_task("approve_promotion")
    assert question.defaults == ["Reject"]
    assert question.response_timeout.days < 7
