"""
### validate_customers: nothing bad gets in, nothing good gets lost

**Reads** `customers-YYYY-MM-DD` files (`.csv`, `.csv.gz`, `.parquet`) in the landing place that were not decided yet,
oldest first; daily, and when one lands where `CHURN_WATCH_LANDING` is set. Trigger it with `file` for one file.

**Writes** for an admitted file, in one transaction: a partition of `churn.customer_history`, bad rows with every reason
in `churn.quarantined_rows`, the pointer behind `churn.customers`. Always: `monitoring.validation_results` and the data
docs (links *Data docs* and *Validation history* on the task).

**If it fails** a file was refused whole and `churn.customers` is as it was: the log names file, rule and next step.
Deliver a corrected file; a file that was refused is not tried again unless its content changes. A changed file for an
admitted day is held, and a notice says so once: trigger this with `file` and `replace` to let it count.
"""

from airflow.sdk import Param, dag, get_current_context

from churn.records import as_json
from churn.settings import Settings
from churn_airflow.assets import CUSTOMERS
from churn_airflow.defaults import DEFAULT_ARGS, at_or_when_landed
from churn_airflow.doors import services
from churn_airflow.tasks import job_task


@dag(
    schedule=at_or_when_landed("0 2 * * *"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    params={
        "file": Param(
            None,
            type=["null", "string"],
            pattern="^customers-[^/]+$",
            description="Name of one landed file; all undecided ones if empty.",
        ),
        "replace": Param(False, type="boolean", description="Let the file take the place of its day's extract."),
    },
    tags=["churn", "daily"],
    doc_md=__doc__,
)
def validate_customers() -> None:
    """Decide about every landed file."""

    @job_task(outlets=[CUSTOMERS])
    def validate_customers() -> list[dict[str, object]]:
        from churn.jobs.validate_customers import require_admitted, validate_customers
        from churn_airflow.links import link_data_docs

        asked = get_current_context()["params"]
        outcomes = validate_customers(services(), asked["file"], asked["replace"])
        link_data_docs(outcomes)
        require_admitted(outcomes, asked_for=asked["file"] is not None)
        return as_json(outcomes)

    @job_task()
    def land_extract() -> str:
        from datetime import UTC, datetime

        from churn.jobs.land_extract import land_extract

        return land_extract(services(), datetime.now(UTC).date(), keep_existing=True)

    validation = validate_customers()
    if Settings().landing_query:
        land_extract() >> validation


validate_customers()
