"""
### settle_outcomes: old scores meet what became true

**Reads** published scores whose horizon has passed, outcomes observed after their snapshot; the API's request log.

**Writes** `monitoring.realised_performance`: ROC-AUC with its interval, Brier score, calibration error and lift of each
run; `monitoring.arm_comparisons`: challenger beside Production where both answered. No run being due is a normal
answer. Drops the days of the request log that the policy no longer keeps. Sums up in
`monitoring.score_groups` what was published outside of the DAG `score_customers`.

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
    """Settle every run that is due, compare the arms, forget what is old."""

    @job_task()
    def settle_outcomes() -> list[int]:
        from churn.jobs.settle_outcomes import settle_outcomes

        return [settled.scoring_run_id for settled in settle_outcomes(services())]

    @job_task()
    def compare_arms() -> list[int]:
        from churn.jobs.compare_arms import compare_arms

        return [compared.challenger_version for compared in compare_arms(services())]

    @job_task()
    def drop_old_requests() -> int:
        from churn.jobs.forget_requests import drop_old_requests

        opened = services()
        return drop_old_requests(opened.database, opened.policy.api_requests_kept_days)

    @job_task()
    def summarise_scores() -> list[int]:
        from churn.jobs import summarise_scores

        return summarise_scores.summarise_scores(services())

    settle_outcomes() >> compare_arms() >> drop_old_requests()
    summarise_scores()


settle_outcomes()
