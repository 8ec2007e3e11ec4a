"""What readers see: published, forced, turned back to an earlier date, and dropped when it is old."""

import logging
from datetime import date

from churn.core.run_checks import may_be_forced
from churn.db import publications, scores, scoring_runs
from churn.errors import ChurnError, RunNotOpen
from churn.records import Decision, ScoringRun, from_json
from churn.services import Services

log = logging.getLogger(__name__)

LOCK = "publish scores"


def publish_scores(services: Services, scoring_run_id: int) -> ScoringRun:
    """Show the checked run to readers in one short transaction; publishing twice changes nothing.

    Raises RunNotOpen where the run did not pass its checks, a newer run of its date was published meanwhile, or rows
    were released from quarantine that it does not hold.
    """
    with services.database.exclusive(LOCK, services.policy.takeover_after_seconds) as connection:
        run = scoring_runs.get(connection, scoring_run_id)
        if run.state == "published":
            return run
        if run.state == "checked" and scoring_runs.is_overtaken(connection, run):
            scoring_runs.mark_superseded(connection, run)
            raise RunNotOpen(
                f"A newer run of {run.snapshot_date} was published while run {scoring_run_id} was under way.",
                "Nothing to do: the newer scores stay.",
            )
        if run.state == "checked" and scoring_runs.misses_released_rows(connection, run):
            scoring_runs.mark_superseded(connection, run)
            raise RunNotOpen(
                f"Rows were released into the extract of {run.snapshot_date} while run {scoring_run_id} was under way.",
                "Run `churn score run`: it scores them too. Readers keep what they have until then.",
            )
        scoring_runs.require_state(run, "checked")
        with connection.transaction():
            publications.publish(connection, run)
        return scoring_runs.get(connection, scoring_run_id)


def force_publish(services: Services, scoring_run_id: int, reason: str) -> ScoringRun:
    """Publish a run that was rejected for looking unlike the nights before; the reason goes to the ledger.

    Raises RunNotOpen where the run is incomplete, broken, dropped or a shadow: no reason makes it publishable.
    """
    with services.database.exclusive(LOCK, services.policy.takeover_after_seconds) as connection:
        run = scoring_runs.get(connection, scoring_run_id)
        scoring_runs.require_state(run, "rejected", "superseded", "checked")
        _require_publishable(run)
        with connection.transaction():
            publications.force(connection, run, reason)
        return scoring_runs.get(connection, scoring_run_id)


def roll_back(services: Services, day: date, reason: str) -> ScoringRun:
    """Let readers see the scores of an earlier date again; the runs of later dates are superseded.

    Raises NotFound where nothing was published for the date, RunNotOpen where its scores are dropped.
    """
    with services.database.exclusive(LOCK, services.policy.takeover_after_seconds) as connection:
        run = scoring_runs.of_date(connection, day)
        _require_publishable(run)
        with connection.transaction():
            publications.roll_back(connection, run, reason)
        return scoring_runs.get(connection, run.scoring_run_id)


def drop_old_scores(services: Services) -> list[int]:
    """Drop the scores of runs that policy keeps no longer; return their numbers.

    The run itself, its policy, counts and model version stay for ever. A run that someone reads at this moment is
    left for the next night.
    """
    with services.database.exclusive(LOCK, services.policy.takeover_after_seconds) as connection:
        old = scoring_runs.droppable(connection, services.policy)
        dropped = [run.scoring_run_id for run in old if scores.drop(connection, run)]
    if old:
        log.info("Dropped the scores of %s of %s runs that are old enough.", len(dropped), len(old))
    return dropped


def _require_publishable(run: ScoringRun) -> None:
    if run.scores_dropped_at is not None:
        raise _cannot(run, "its scores were dropped", "Score the date again: `churn score run --date ...`.")
    if run.mode == "shadow":
        raise _cannot(run, "it is a shadow run of a model that is not Production", "Promote the model first.")
    if run.checks is None:
        raise _cannot(run, "it never came to its checks", "Run `churn score run`.")
    if not may_be_forced(from_json(Decision, run.checks)):
        raise _cannot(run, f"it is not whole: {run.rejection}", "Mend the cause and run `churn score run`.")


def _cannot(run: ScoringRun, why: str, next_step: str) -> ChurnError:
    return RunNotOpen(f"Scoring run {run.scoring_run_id} cannot be published: {why}.", next_step)
