"""A run that may not be published: recorded with every rule, and told to people."""

from churn.db import scoring_runs
from churn.errors import RunRejected
from churn.records import Decision, Notice, ScoringRun
from churn.services import Services


def reject_run(
    services: Services, connection: scoring_runs.Connection, run: ScoringRun, decision: Decision
) -> RunRejected:
    """Record the rejection, send a notice, and return the error to raise; the published table stays as it is.

    `connection` is the one that holds the lock of the work that failed: whoever was taken over has lost it, and can
    reject nothing any more. Raises TakenOver where the run has moved on since `run` was read.
    """
    scoring_runs.mark_rejected(connection, run, decision)
    services.notifier.send(
        Notice(
            title=f"Scores of {run.snapshot_date} were not published",
            happened=f"Scoring run {run.scoring_run_id} (model version {run.model_version}): {decision.reason}",
            meaning="CRM and the API still read the last published scores.",
            next_step=f"Mend the cause and run `churn score run`, or, where the scores are right all the same: "
            f"churn score publish {run.scoring_run_id} --force --reason '...'",
        )
    )
    return RunRejected(
        f"Scoring run {run.scoring_run_id} was rejected: {decision.reason}",
        "The published table is as it was; mend the cause and run `churn score run`.",
    )
