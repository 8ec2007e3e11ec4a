"""The night: every customer of the newest snapshot scored, checked, and published whole or not at all."""

import logging
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn.columns import KEY
from churn.core.model import ChurnModel
from churn.core.run_checks import check_run
from churn.db import customers, extracts, scores, scoring_runs
from churn.db.migrations import require_current_schema
from churn.errors import RunRejected
from churn.policy import Policy
from churn.records import Notice, ScoringRun
from churn.services import Services

log = logging.getLogger(__name__)

ROWS_A_CHUNK = 50_000


def score_customers(services: Services) -> ScoringRun:
    """Open, load, check and publish one run; return it as published.

    A night that was already published for the same snapshot, model version and policy is left as it is.
    """
    run_id = open_run(services).scoring_run_id
    load_scores(services, run_id)
    check_scores(services, run_id)
    return publish_scores(services, run_id)


def open_run(services: Services) -> ScoringRun:
    """Fix what is scored and by whom: the current snapshot and the number of the Production version.

    Raises NoCustomers, NoProductionModel, RegistryUnavailable; yesterday's table stays.
    """
    require_current_schema(services.database)
    model = services.registry.production_version()
    with services.database.transaction() as connection:
        run = scoring_runs.open_run(connection, extracts.current(connection), model, services.policy)
    log.info(
        "Scoring run %s: snapshot %s, model version %s, state %s.",
        run.scoring_run_id, run.snapshot_date, run.model_version, run.state,
    )  # fmt: skip
    return run


def load_scores(services: Services, scoring_run_id: int) -> ScoringRun:
    """Score every customer of the run's snapshot into its private partition.

    Everything commits together; a run that is already loaded is left alone, so a retry or a second attempt that
    wakes late changes nothing. Raises ArtifactRejected where the model is not the one the run recorded.
    """
    database = services.database
    with database.transaction() as writer:
        run = scoring_runs.get(writer, scoring_run_id, for_update=True)
        if run.state != "open":
            return run
        model = services.registry.load(run.model_version, expected_digest=run.model_digest)
        with database.transaction() as reader:
            parts = _score_parts(model, customers.read_features(reader, run.extract_id, ROWS_A_CHUNK))
            count = scores.load(writer, scoring_run_id, parts, Policy.model_validate(run.policy))
        scoring_runs.mark_scored(writer, scoring_run_id, customer_count=count)
        return scoring_runs.get(writer, scoring_run_id)


def check_scores(services: Services, scoring_run_id: int) -> ScoringRun:
    """Hold the loaded run against the rules; a run that fails is rejected and never shown.

    Raises RunRejected with every failed rule, after recording it and sending a notice.
    """
    with services.database.transaction() as connection:
        run = scoring_runs.get(connection, scoring_run_id, for_update=True)
        if run.state in ("checked", "published"):
            return run
        scoring_runs.require_state(run, "scored")
        summary = scores.summarise(connection, scoring_run_id, run.extract_id)
        snapshot = extracts.get(connection, run.extract_id)
        decision = check_run(
            row_count=summary.row_count,
            missing_count=summary.missing_count,
            customer_count=snapshot.admitted_count or 0,
            lowest=summary.lowest,
            highest=summary.highest,
        )
        if decision.approved:
            scoring_runs.mark_checked(connection, scoring_run_id)
            return scoring_runs.get(connection, scoring_run_id)
        scoring_runs.mark_rejected(connection, scoring_run_id, decision.reason)
    services.notifier.send(
        Notice(
            title=f"Scores of {run.snapshot_date} were not published",
            happened=f"Scoring run {scoring_run_id} (model version {run.model_version}): {decision.reason}",
            meaning="CRM and the API still read the last published scores.",
            next_step="Look at the run, mend the cause, then clear the DAG run or `churn score run`.",
        )
    )
    raise RunRejected(
        f"Scoring run {scoring_run_id} was rejected: {decision.reason}",
        "The published table is as it was; mend the cause and run `churn score run`.",
    )


def publish_scores(services: Services, scoring_run_id: int) -> ScoringRun:
    """Show the checked run to readers in one short transaction; publishing twice changes nothing."""
    with services.database.transaction() as connection:
        run = scoring_runs.get(connection, scoring_run_id, for_update=True)
        if run.state != "published":
            scoring_runs.require_state(run, "checked")
            scoring_runs.publish(connection, scoring_run_id)
        return scoring_runs.get(connection, scoring_run_id)


def _score_parts(
    model: ChurnModel, frames: Iterator[pd.DataFrame]
) -> Iterator[tuple[list[str], npt.NDArray[np.float64]]]:
    count = 0
    for frame in frames:
        yield frame[KEY.name].tolist(), model.predict(frame)
        count += len(frame)
        log.info("Scored %s customers.", f"{count:,}")
