"""
### report_drift: how far are today's customers from those the Production model learned from?

**Reads** a bounded sample of `churn.customers` with last night's scores, and one of what the API was asked about and
answered in the last hours; the reference that travels with the Production version.

**Writes** `monitoring.drift_reports`, `monitoring.drift_columns` and an HTML page (link *Drift report* on the task).
When k of the n latest reports say *drifted*, the asset `retraining_requested` wakes `retrain_model`: one request in
flight at most, and none within the cool-down. Requests of the API are reported beside the customers: what callers ask
about is theirs to choose, so it is shown and never asks for a retraining.

**If it fails** no customer data and no score changes. The next hour tries again; no customers or no model is an
answer (*not enough rows*, *no reference*), not a failure.
"""

from airflow.sdk import dag

from churn.records import as_json, from_json
from churn_airflow.assets import RETRAINING_REQUESTED
from churn_airflow.defaults import DEFAULT_ARGS, at
from churn_airflow.doors import services
from churn_airflow.tasks import job_task


@dag(
    schedule=at("0 * * * *"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["churn", "hourly"],
    doc_md=__doc__,
)
def report_drift() -> None:
    """Report, then ask for a retraining where the verdicts say so."""

    @job_task()
    def report_drift() -> dict[str, object]:
        from churn.jobs import report_drift
        from churn_airflow.links import link_drift_report

        outcome = report_drift.report_drift(services())
        link_drift_report(outcome.page)
        return as_json(outcome)

    @job_task(outlets=[RETRAINING_REQUESTED])
    def request_retraining(outcome: dict[str, object]) -> int:
        from airflow.sdk.exceptions import AirflowSkipException

        from churn.jobs import report_drift

        request = report_drift.request_retraining(services(), from_json(report_drift.DriftOutcome, outcome))
        if request is None:
            raise AirflowSkipException("No retraining is due.")
        return request

    @job_task()
    def report_request_drift() -> dict[str, object]:
        from churn.jobs import report_request_drift
        from churn_airflow.links import link_drift_report

        outcome = report_request_drift.report_request_drift(services())
        link_drift_report(outcome.page)
        return as_json(outcome)

    request_retraining(report_drift())
    report_request_drift()


report_drift()
