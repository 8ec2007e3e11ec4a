"""Every hour: how far are today's customers from those that the Production model learned from?"""

import logging
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from churn import drift_report
from churn.core.drift import drift_verdict, retraining_is_due
from churn.db import customers, drift_reports, extracts, retraining_requests, scoring_runs
from churn.db.database import Connection
from churn.db.migrations import require_current_schema
from churn.errors import NoCustomers, NoProductionModel
from churn.records import DriftSource, DriftVerdict, Extract, ModelVersion, Notice
from churn.reports import DRIFT_FOLDER
from churn.services import Services

log = logging.getLogger(__name__)

# Each keeps its own newest pages.
_FOLDERS: dict[DriftSource, str] = {"customers": DRIFT_FOLDER, "requests": f"{DRIFT_FOLDER}/requests"}


@dataclass(frozen=True)
class DriftOutcome:
    """One drift report: its number, its page below the reports folder (if any), its verdict.

    `current_count` is the number of customers, or of answers of the API, that were compared.
    """

    drift_report_id: int
    page: str | None
    snapshot_date: date | None
    model_version: int | None
    current_count: int
    verdict: DriftVerdict


def report_drift(services: Services) -> DriftOutcome:
    """Compare a bounded sample of current customers with the Production model's reference and record the numbers.

    No customers, no model or too few rows is an answer with a verdict of its own, not a failure.
    Raises RegistryUnavailable, DatabaseUnavailable.
    """
    require_current_schema(services.database)
    model = find_production(services)
    with services.database.transaction() as connection:
        snapshot = _snapshot(connection)
        current = _sample(connection, snapshot, model, services)
    if model is None or snapshot is None or len(current) < services.policy.drift_minimum_count:
        return _record_no_verdict(services, snapshot, model, len(current))
    return _compare(services, snapshot, model, current)


def request_retraining(services: Services, outcome: DriftOutcome) -> int | None:
    """Ask for a retraining when k of the n latest reports are drifted; return the request's number.

    None where it is not due, where one is in flight, or where the cool-down has not passed.
    """
    policy = services.policy
    if outcome.verdict.verdict != "drifted" or outcome.model_version is None:
        return None
    with services.database.transaction() as connection:
        verdicts = drift_reports.latest_verdicts(connection, outcome.model_version, policy.drifted_reports_of)
        if not retraining_is_due(verdicts, policy):
            return None
        cooldown = timedelta(days=policy.retraining_cooldown_days)
        request = retraining_requests.request(connection, outcome.verdict.reason, outcome.drift_report_id, cooldown)
    if request is not None:
        services.notifier.send(
            Notice(
                title="Customers have drifted: a retraining was asked for",
                happened=outcome.verdict.reason,
                meaning=f"Model version {outcome.model_version} learned from customers who looked different.",
                next_step=f"Read drift report {outcome.drift_report_id}; the gate decides about the new model.",
            )
        )
    return request


def find_production(services: Services) -> ModelVersion | None:
    """The Production version, or None where there is none. Raises RegistryUnavailable."""
    try:
        return services.registry.production_version()
    except NoProductionModel:
        return None


def _snapshot(connection: Connection) -> Extract | None:
    try:
        return extracts.current(connection)
    except NoCustomers:
        return None


def _sample(
    connection: Connection, snapshot: Extract | None, model: ModelVersion | None, services: Services
) -> pd.DataFrame:
    if snapshot is None or model is None:
        return pd.DataFrame()
    run = scoring_runs.published(connection)
    scored = run and run.extract_id == snapshot.extract_id and run.model_version == model.version
    return customers.sample_with_scores(
        connection,
        snapshot.extract_id,
        services.policy.drift_sample_count,
        services.policy.seed,
        run.scoring_run_id if run and scored else None,
    )


def _record_no_verdict(
    services: Services, snapshot: Extract | None, model: ModelVersion | None, current_count: int
) -> DriftOutcome:
    if model is None:
        verdict = DriftVerdict("no reference", None, "There is no Production model, so nothing to compare with.")
    else:
        verdict = drift_verdict((), current_count, services.policy)
    return record_report(services, "customers", snapshot, model, current_count, 0, verdict, None)


def _compare(services: Services, snapshot: Extract, model: ModelVersion, current: pd.DataFrame) -> DriftOutcome:
    reference = services.registry.load_reference(model.version)
    report = drift_report.compare(reference, current, services.policy.drifted_column_rate)
    verdict = drift_verdict(report.columns, len(current), services.policy)
    return record_report(services, "customers", snapshot, model, len(current), len(reference), verdict, report)


def record_report(
    services: Services,
    source: DriftSource,
    snapshot: Extract | None,
    model: ModelVersion | None,
    current_count: int,
    reference_count: int,
    verdict: DriftVerdict,
    report: drift_report.DriftReport | None,
) -> DriftOutcome:
    """Record a report with its columns, keep its page, and delete pages that are too old; the outcome."""
    snapshot_date = snapshot.snapshot_date if snapshot else None
    model_version = model.version if model else None
    with services.database.transaction() as connection:
        report_id = drift_reports.record(
            connection,
            source=source,
            snapshot_date=snapshot_date,
            model_version=model_version,
            current_count=current_count,
            reference_count=reference_count,
            verdict=verdict,
            drifted_rate_limit=services.policy.drifted_column_rate,
            columns=report.columns if report else (),
        )
        page = f"{_FOLDERS[source]}/{report_id}.html" if report else None
        if report and page:
            report.save_html(services.reports, page)
            services.reports.prune(_FOLDERS[source], services.policy.drift_reports_kept)
    log.info("Drift report %s on %s: %s. %s", report_id, source, verdict.verdict, verdict.reason)
    return DriftOutcome(report_id, page, snapshot_date, model_version, current_count, verdict)
