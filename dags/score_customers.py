"""
### score_customers: every customer of a snapshot, scored in parts and published whole or not at all

**Reads** `churn.customer_history`, the version of the model `churn` that carries the alias `production`.

**Writes** a partition of `churn.scores` and of `churn.score_reasons`, the run in `churn.scoring_runs` with its parts;
publishing moves the pointer behind `crm.churn_scores`. After that, sums by decile and risk level for Grafana go to
`monitoring.score_groups`.

**By hand** trigger it with `mode`: `full`, `changed` (only customers whose features changed since the last run of the
same model; the same rows as full) or `shadow` (the staging model, compared with Production, never published); and with
`date` to score an earlier snapshot.

**If it fails** readers keep the last published scores. Nothing is half-published. Read the failed task's log: it names
the next step. Clearing the failed task is always safe: finished parts are skipped, and a night that is already
published stays as it is, row for row.
"""

from airflow.sdk import Param, dag, get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from churn_airflow.assets import CHURN_SCORES
from churn_airflow.defaults import DEFAULT_ARGS, at
from churn_airflow.doors import services
from churn_airflow.tasks import job_task


@dag(
    schedule=at("0 3 * * *"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    params={
        "mode": Param("full", enum=["full", "changed", "shadow"], description="Whom to score, and with which model."),
        "date": Param(None, type=["null", "string"], format="date", description="Snapshot; the current one if empty."),
    },
    tags=["churn", "nightly"],
    doc_md=__doc__,
)
def score_customers() -> None:
    """Open a run, score its parts on any worker, check it, publish it."""

    @job_task()
    def open_run() -> list[dict[str, int]]:
        from datetime import date

        from churn.jobs import score_customers

        asked = get_current_context()["params"]
        day = date.fromisoformat(asked["date"]) if asked["date"] else None
        run_id = score_customers.open_run(services(), asked["mode"], day).scoring_run_id
        parts = score_customers.parts_of(services(), run_id)
        return [{"scoring_run_id": run_id, "part_number": part.part_number} for part in parts]

    @job_task()
    def score_part(scoring_run_id: int, part_number: int) -> int:
        from churn.jobs import score_part

        return score_part.score_part(services(), scoring_run_id, part_number).scoring_run_id

    @job_task()
    def check_scores(scoring_run_ids: list[int]) -> int:
        from churn.jobs import check_scores

        return check_scores.check_scores(services(), scoring_run_ids[0]).scoring_run_id

    @job_task(outlets=[CHURN_SCORES])
    def publish_scores(scoring_run_id: int) -> int:
        from churn.jobs import publish_scores

        if get_current_context()["params"]["mode"] == "shadow":
            raise AirflowSkipException("A shadow run is compared, never published.")
        publish_scores.publish_scores(services(), scoring_run_id)
        publish_scores.drop_old_scores(services())
        return scoring_run_id

    @job_task()
    def summarise_scores() -> list[int]:
        from churn.jobs import summarise_scores

        return summarise_scores.summarise_scores(services())

    publish_scores(check_scores(score_part.expand_kwargs(open_run()))) >> summarise_scores()


score_customers()
