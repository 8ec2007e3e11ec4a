"""The night: every customer of a snapshot scored in parts, checked, and published whole or not at all."""

import logging
from datetime import date

from churn.db import extracts, scores, scoring_parts, scoring_runs
from churn.db.migrations import require_current_schema
from churn.errors import NotFound
from churn.jobs.check_scores import check_scores, judge_of
from churn.jobs.publish_scores import drop_old_scores, publish_scores
from churn.jobs.score_part import score_part
from churn.records import Extract, ModelVersion, RunMode, ScoringPart, ScoringRun
from churn.services import Services

log = logging.getLogger(__name__)


def score_customers(services: Services, mode: RunMode = "full", day: date | None = None) -> ScoringRun:
    """Open a run, score its parts, check it and publish it; return it as published.

    `day` names the snapshot (the current one where left out). A night that was already published for the same
    snapshot, model version and policy is left as it is. Mode `shadow` scores with the staging model and publishes
    nothing.
    """
    run = open_run(services, mode, day)
    if run.state == "published":
        return run
    run_id = run.scoring_run_id
    with judge_of(services, run_id) as judge:  # gets ready beside the parts
        for part in parts_of(services, run_id):
            score_part(services, run_id, part.part_number)
        run = check_scores(services, run_id, judge)
    if mode != "shadow":
        run = publish_scores(services, run_id)
        drop_old_scores(services)
    return run


def open_run(services: Services, mode: RunMode = "full", day: date | None = None) -> ScoringRun:
    """Fix what is scored, by whom and in which parts: a snapshot, the number of a model version, key ranges.

    Raises NoCustomers, NoProductionModel, RegistryUnavailable, NotFound; yesterday's table stays.
    """
    require_current_schema(services.database)
    model = _model(services, mode)
    with (
        services.database.exclusive("open a scoring run", services.policy.takeover_after_seconds) as connection,
        connection.transaction(),
    ):
        extract = extracts.of_date(connection, day) if day else extracts.current(connection)
        found = scoring_runs.find_live(connection, extract, model, services.policy, mode)
        run = found or _open(services, connection, extract, model, mode)
    log.info(
        "Scoring run %s: %s customers of %s, model version %s, mode %s, state %s.",
        run.scoring_run_id, f"{run.customer_count:,}", run.snapshot_date, run.model_version, run.mode, run.state,
    )  # fmt: skip
    return run


def parts_of(services: Services, scoring_run_id: int) -> list[ScoringPart]:
    """The parts of a run, each of which any worker may score."""
    with services.database.transaction() as connection:
        return scoring_parts.of_run(connection, scoring_run_id)


def _open(
    services: Services, connection: scoring_runs.Connection, extract: Extract, model: ModelVersion, mode: RunMode
) -> ScoringRun:
    base = scoring_runs.base_for(connection, extract, model) if mode == "changed" else None
    if mode == "changed" and base is None:
        log.info("No published run of model version %s to start from: every customer is scored.", model.version)
    run = scoring_runs.open_run(connection, extract, model, services.policy, mode, base)
    scoring_parts.plan(connection, run, services.policy.part_row_count)
    scores.open_tables(connection, run)
    return run


def _model(services: Services, mode: RunMode) -> ModelVersion:
    if mode != "shadow":
        return services.registry.production_version()
    staging = services.registry.staging_version()
    if staging is None:
        raise NotFound(
            "No version of the model is Staging, so there is nothing to compare with Production.",
            "Run retrain_model; a challenger that is not promoted stays Staging.",
        )
    return staging
