"""
### settle_outcomes: old scores meet what became true

**Reads** published scores whose horizon has passed, outcomes observed after their snapshot.

**Writes** `monitoring.realised_performance`: ROC-AUC with its interval, Brier score, calibration error and lift of each
run. No run being due is a normal answer.

**If it fails** no score changes and nothing is lost: the next day settles what is still due.
"""

from airflow.sdk import dag

from churn_airflow.defaults import DEFAULT_ARGS, at
from churn_airflow.doors import services
from churn_airflow.tasks import job_task


@dag(
    schedule=at("30 3 * * *"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["churn", "daily"],
    doc_md=__doc__,
)
def settle_outcomes() -> None:
    """Settle every run that is due."""

    @job_task()
    def settle_outcomes() -> list[int]:
        from churn.jobs.settle_outcomes import settle_outcomes

        return [settled.scoring_run_id for settled in settle_outcomes(services())]

    settle_outcomes()


settle_outcomes()
