"""
### score_customers: every customer of the newest snapshot, scored and published whole or not at all

**Reads** `churn.customers`, the version of the model `churn` that carries the alias `production`.

**Writes** a partition of `churn.scores`, the run in `churn.scoring_runs`; publishing moves the pointer behind
`crm.churn_scores`.

**If it fails** readers keep the last published scores. Nothing is half-published. Read the failed task's log: it names
the next step. Clearing the failed task is always safe; a night that is already published stays as it is, row for row.
"""

from airflow.sdk import dag

from churn_airflow.assets import CHURN_SCORES
from churn_airflow.defaults import DEFAULT_ARGS, at
from churn_airflow.doors import services
from churn_airflow.tasks import job_task


@dag(
    schedule=at("0 3 * * *"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["churn", "nightly"],
    doc_md=__doc__,
)
def score_customers() -> None:
    """Open a run, load its scores, check them, publish them."""

    @job_task()
    def open_run() -> int:
        from churn.jobs import score_customers

        return score_customers.open_run(services()).scoring_run_id

    @job_task()
    def load_scores(scoring_run_id: int) -> int:
        from churn.jobs import score_customers

        return score_customers.load_scores(services(), scoring_run_id).scoring_run_id

    @job_task()
    def check_scores(scoring_run_id: int) -> int:
        from churn.jobs import score_customers

        return score_customers.check_scores(services(), scoring_run_id).scoring_run_id

    @job_task(outlets=[CHURN_SCORES])
    def publish_scores(scoring_run_id: int) -> int:
        from churn.jobs import score_customers

        return score_customers.publish_scores(services(), scoring_run_id).scoring_run_id

    publish_scores(check_scores(load_scores(open_run())))


score_customers()
