"""
### validate_customers: nothing bad gets in, nothing good gets lost

**Reads** `customers-YYYY-MM-DD.csv` files in the landing place that were not decided yet, oldest first.

**Writes** for an admitted file, in one transaction: a partition of `churn.customer_history`, bad rows with every reason
in `churn.quarantined_rows`, the pointer behind `churn.customers`. Always: `monitoring.validation_results` and the data
docs (link *Data docs* on the task).

**If it fails** a file was refused whole and `churn.customers` is as it was: the log names file, rule and next step.
Deliver a corrected file; a file that was refused is not tried again unless its content changes.
"""

from airflow.sdk import dag

from churn.records import as_json
from churn_airflow.assets import CUSTOMERS
from churn_airflow.defaults import DEFAULT_ARGS, at
from churn_airflow.doors import services
from churn_airflow.tasks import job_task


@dag(
    schedule=at("0 2 * * *"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["churn", "daily"],
    doc_md=__doc__,
)
def validate_customers() -> None:
    """Decide about every landed file."""

    @job_task(outlets=[CUSTOMERS])
    def validate_customers() -> list[dict[str, object]]:
        from churn.jobs.validate_customers import require_admitted, validate_customers
        from churn_airflow.links import link_data_docs

        outcomes = validate_customers(services())
        link_data_docs(outcomes)
        require_admitted(outcomes)
        return as_json(outcomes)

    validate_customers()


validate_customers()
