"""Links from a task in the Airflow UI to what it made: what tasks push as XCom and the plugin reads.

The names and addresses are shared by the tasks (`link_*`), the plugin and the pages that it serves.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from churn.records import ExtractOutcome

MLFLOW_RUN_XCOM = "mlflow_run_url"
DATA_DOCS_XCOM = "data_docs_page"
VALIDATION_HISTORY_XCOM = "validation_history_page"
DRIFT_REPORT_XCOM = "drift_report_page"

PAGES_PREFIX = "/churn"
REPORTS_PATH = f"{PAGES_PREFIX}/reports"
VALIDATION_HISTORY = "data_docs/index.html"


def mlflow_run_url(mlflow_address: str | None, run_id: str) -> str | None:
    """The page of a run in MLflow's UI, or None where MLflow has no address a browser could open."""
    if not mlflow_address or not mlflow_address.startswith(("http://", "https://")):
        return None
    return f"{mlflow_address.rstrip('/')}/#/runs/{quote(run_id, safe='')}"


def report_url(page: str, base_path: str = "/") -> str:
    """The address of a page below the reports folder, on the Airflow server whose base path is given."""
    return f"{base_path.rstrip('/')}{REPORTS_PATH}/{quote(page)}"


def mlflow_run_page(run_id: str) -> str | None:
    """The page of a run on the MLflow of the settings, or None where a browser could not open it."""
    from churn.settings import Settings

    return mlflow_run_url(Settings().mlflow_page, run_id)


def link_mlflow_run(run_id: str | None) -> None:
    """Link the running task to its MLflow run; without a run there is no link."""
    if run_id and (url := mlflow_run_page(run_id)):
        _push(MLFLOW_RUN_XCOM, url)


def link_data_docs(outcomes: "Iterable[ExtractOutcome]") -> None:
    """Link the running task to the data docs of the last extract that it validated, and to those of all before it.

    What was not validated gets no link.
    """
    pages = [outcome.data_docs for outcome in outcomes if outcome.data_docs]
    if pages:
        _push(DATA_DOCS_XCOM, pages[-1])
        _push(VALIDATION_HISTORY_XCOM, VALIDATION_HISTORY)


def link_drift_report(page: str | None) -> None:
    """Link the running task to its drift report, a page below the reports folder; None has no link."""
    if page:
        _push(DRIFT_REPORT_XCOM, page)


def _push(key: str, value: str) -> None:
    from airflow.sdk import get_current_context

    get_current_context()["ti"].xcom_push(key=key, value=value)
