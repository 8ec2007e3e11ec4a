"""A task that calls one job."""

import functools
from collections.abc import Callable
from typing import Any

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowFailException

from churn.errors import ChurnError
from churn.process import tune_for_one_job


def job_task(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Like `@task`, and an error that no retry can mend fails at once with its next step."""

    def decorate(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def run(*arguments: Any, **named: Any) -> Any:
            tune_for_one_job()  # Airflow gives each task a process of its own
            try:
                return function(*arguments, **named)
            except ChurnError as error:
                if error.retry_helps:
                    raise
                raise AirflowFailException(str(error)) from error

        return task(**options)(run)

    return decorate
