"""The notice that a failed task sends once its retries are used up."""

from typing import Any


def notice_of_failure(context: dict[str, Any]) -> None:
    """Tell people which task failed, what it means and what to do; silent where the job has already said it."""
    from churn.errors import ChurnError
    from churn.notify import Notifier
    from churn.records import Notice
    from churn.settings import Settings

    error = context.get("exception")
    behind = error.__cause__ if isinstance(error, BaseException) else None
    cause = behind if isinstance(behind, ChurnError) else error
    if isinstance(cause, ChurnError) and cause.noticed:
        return
    instance = context["task_instance"]
    urls = Settings().notify_urls
    Notifier(urls.get_secret_value() if urls else "").send(
        Notice(
            title=f"{instance.dag_id}.{instance.task_id} failed",
            happened=f"Run {instance.run_id}: {cause.message if isinstance(cause, ChurnError) else cause}",
            meaning="Nothing half-done was published; readers see what they saw before.",
            next_step=cause.next_step
            if isinstance(cause, ChurnError)
            else "Read the task's log in Airflow, mend the cause, clear the task.",
        )
    )
