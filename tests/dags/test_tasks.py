"""What a task does with an error: retried where that helps, failed at once with its next step where not."""

import logging
from types import SimpleNamespace

import pytest
from airflow.sdk import dag
from airflow.sdk.exceptions import AirflowFailException

from churn.errors import ChurnError, ExtractRefused, NoProductionModel, RegistryUnavailable
from churn_airflow.notices import notice_of_failure
from churn_airflow.tasks import job_task


def _run(error: Exception) -> None:
    @dag()
    def any_dag() -> None:
        @job_task()
        def fail() -> None:
            raise error

        fail()

    any_dag().get_task("fail").python_callable()


def test_an_error_that_passes_is_left_to_the_retries() -> None:
    with pytest.raises(RegistryUnavailable):
        _run(RegistryUnavailable("MLflow is away.", "Wait."))


@pytest.mark.parametrize("kind", [NoProductionModel, ExtractRefused])
def test_an_error_that_stays_fails_at_once_and_says_what_to_do(kind: type[ChurnError]) -> None:
    with pytest.raises(AirflowFailException, match="Do this"):
        _run(kind("It cannot be.", "Do this."))


def test_an_unexpected_error_keeps_its_own_face() -> None:
    with pytest.raises(ZeroDivisionError):
        _run(ZeroDivisionError())


def _told(error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    instance = SimpleNamespace(dag_id="score_customers", task_id="open_run", run_id="manual__1")
    with caplog.at_level(logging.WARNING):
        notice_of_failure({"exception": error, "task_instance": instance})
    return caplog.text


def test_a_failed_task_sends_one_notice_with_the_next_step(caplog: pytest.LogCaptureFixture) -> None:
    text = _told(NoProductionModel("No model.", "Train one."), caplog)
    assert text.count("NOTICE") == 1
    assert "score_customers.open_run failed" in text
    assert "What to do: Train one." in text


def test_a_refusal_that_was_already_told_is_not_told_twice(caplog: pytest.LogCaptureFixture) -> None:
    error = AirflowFailException("refused")
    error.__cause__ = ExtractRefused("A bad file.", "Mend it.")
    assert "NOTICE" not in _told(error, caplog)


def test_an_unexpected_error_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    assert "division by zero" in _told(ZeroDivisionError("division by zero"), caplog)
