"""
### retrain_model: four candidates, an honest estimate, and a gate that keeps what works

**Reads** snapshots whose horizon has passed, with their outcomes; as long as there are none, the newest snapshot that
was delivered with labels.

**Writes** an MLflow run with one nested run a candidate (link *MLflow run* on each task), a new version of the model
`churn`, every decision of the gate with its numbers in `churn.promotions`. The alias `production` moves only when the
gate approves and, where the policy says `promotion_mode = "approve"`, a person does: *Required Actions* shows the
evidence and takes the answer. Without one within six days Production stays.

**If it fails** the Production model stays. A candidate that fails stops the run: clear it, and the decision is made on
all four. Runs weekly, or when `report_drift` asks for it.
"""

from airflow.sdk import AssetOrTimeSchedule, dag
from airflow.sdk.exceptions import AirflowSkipException

from churn.records import as_json, from_json
from churn_airflow.assets import PRODUCTION_MODEL, RETRAINING_REQUESTED
from churn_airflow.defaults import DEFAULT_ARGS, at
from churn_airflow.doors import services
from churn_airflow.people import ask, read_answer, this_run
from churn_airflow.tasks import job_task

CANDIDATES = ["lightgbm", "xgboost", "random_forest", "logistic"]


@dag(
    schedule=AssetOrTimeSchedule(timetable=at("0 4 * * 0"), assets=[RETRAINING_REQUESTED]),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["churn", "weekly"],
    doc_md=__doc__,
)
def retrain_model() -> None:
    """Freeze the training snapshot, train the candidates side by side, let the gate decide."""

    @job_task()
    def plan_training() -> dict[str, object]:
        from churn.jobs import plan_training
        from churn_airflow.links import link_mlflow_run

        plan = plan_training.plan_training(services())
        link_mlflow_run(plan.mlflow_run_id)
        return as_json(plan)

    @job_task()
    def train_candidate(kind: str, plan: dict[str, object]) -> dict[str, object]:
        from churn.jobs import plan_training, train_candidate
        from churn_airflow.links import link_mlflow_run

        training_plan = from_json(plan_training.TrainingPlan, plan)
        candidate = train_candidate.train_candidate(services(), training_plan, kind)
        link_mlflow_run(candidate.mlflow_run_id)
        return as_json(candidate)

    @job_task(outlets=[PRODUCTION_MODEL])
    def decide_promotion(plan: dict[str, object], candidates: list[dict[str, object]]) -> dict[str, object]:
        from churn.jobs import decide_promotion, plan_training, train_candidate
        from churn_airflow.links import link_mlflow_run

        training_plan = from_json(plan_training.TrainingPlan, plan)
        trained = [from_json(train_candidate.TrainedCandidate, candidate) for candidate in candidates]
        result = decide_promotion.decide_promotion(services(), training_plan, trained)
        link_mlflow_run(training_plan.mlflow_run_id)
        return as_json(result)

    @job_task()
    def present_proposal(decided: dict[str, object]) -> str:
        from churn.jobs import present_proposal
        from churn_airflow.links import mlflow_run_page

        if not decided["awaits_approval"]:
            raise AirflowSkipException("The gate has decided; nobody is asked.")
        run_page = mlflow_run_page(str(decided["mlflow_run_id"]))
        return present_proposal.present_proposal(services(), decided["model_version"], run_page)

    @job_task(outlets=[PRODUCTION_MODEL])
    def settle_proposal(decided: dict[str, object], given: dict[str, object]) -> None:
        from churn.jobs import promote_model

        answer = read_answer(given, this_run())
        settle = promote_model.promote_model if answer.approved else promote_model.reject_proposal
        settle(services(), decided["model_version"], answer.reason, answer.by, answer.request)
        if not answer.approved:
            raise AirflowSkipException(answer.reason)

    plan = plan_training()
    decided = decide_promotion(plan, train_candidate.partial(plan=plan).expand(kind=CANDIDATES))
    answer = ask("approve_promotion", "Shall the challenger serve?", present_proposal(decided))
    settle_proposal(decided, answer.output)


retrain_model()
