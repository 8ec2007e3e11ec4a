"""
### roll_back_model: an earlier version of the model serves again

**By hand** trigger it with a `reason` and, where it is not the version that served before, with `model_version`. The
same as `churn rollback`.

**Reads** the ledger `churn.promotions` and the artifact of the version: it must once have been approved, and be what
was approved.

**Writes** an entry of the ledger with the name of who triggered it, then the alias `production`. The API follows within
seconds, the next night scores everyone with it. Trigger it once more to undo it.

**If it fails** the Production model stays; the log names the next step. Clearing the task is safe: a run rolls back
once.
"""

from airflow.sdk import Param, dag, get_current_context

from churn_airflow.assets import PRODUCTION_MODEL
from churn_airflow.defaults import DEFAULT_ARGS
from churn_airflow.doors import services
from churn_airflow.people import this_run, who_triggered
from churn_airflow.tasks import job_task


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    params={
        "reason": Param(type="string", pattern=r"\S", description="Why; it is kept in the ledger of promotions."),
        "model_version": Param(
            None, type=["null", "integer"], minimum=1, description="An approved version; the one before if empty."
        ),
    },
    tags=["churn", "by hand"],
    doc_md=__doc__,
)
def roll_back_model() -> None:
    """Let one earlier version serve."""

    @job_task(outlets=[PRODUCTION_MODEL])
    def roll_back_model() -> int:
        from churn.jobs.roll_back_model import roll_back_model

        asked = get_current_context()["params"]
        done = roll_back_model(services(), asked["reason"], asked["model_version"], who_triggered(), this_run())
        return done.model_version

    roll_back_model()


roll_back_model()
