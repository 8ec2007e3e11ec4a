"""People in a DAG: who triggered a run, and what somebody answered when they were asked."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param, get_current_context

APPROVE, REJECT = "Approve", "Reject"
ANSWER_WITHIN = timedelta(days=6)  # the next weekly run waits for the answer


@dataclass(frozen=True)
class Answer:
    """What was answered; `by` is None where nobody did in time. `request` is this answer's own name."""

    approved: bool
    by: str | None
    reason: str
    request: str


def ask(task_id: str, subject: str, body: Any) -> HITLOperator:
    """A task that waits for a person, `body` (Markdown) before their eyes; without an answer in time it is a no.

    Not ApprovalOperator: that one skips what follows a rejection, and a rejection is recorded too.
    """
    return HITLOperator(
        task_id=task_id,
        subject=subject,
        body=body,
        options=[APPROVE, REJECT],
        defaults=REJECT,
        response_timeout=ANSWER_WITHIN,
        params={"reason": Param("", type="string", description="Why; it is kept in the ledger of promotions.")},
    )


def read_answer(given: dict[str, Any], run: str) -> Answer:
    """The answer in what a task made by `ask` returned; `run` is `this_run()`.

    A question that was cleared and answered anew has another name: the new answer counts too.
    """
    approved = given["chosen_options"] == [APPROVE]
    by = (given["responded_by_user"] or {}).get("name")
    reason = (given["params_input"].get("reason") or "").strip()
    said = f"{'Approved' if approved else 'Rejected'} by {by}" if by else "Nobody answered in time"
    return Answer(approved, by, f"{said}: {reason}" if reason else f"{said}.", f"{run} {given['responded_at']}")


def who_triggered() -> str | None:
    """Who triggered the run of this task; None where Airflow does not say."""
    return get_current_context()["dag_run"].triggering_user_name


def this_run() -> str:
    """The run of this task, as the one wish that all its attempts are about."""
    run = get_current_context()["dag_run"]
    return f"{run.dag_id} {run.run_id}"
