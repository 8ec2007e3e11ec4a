"""The churn plugin: links from a task to what it made, and the pages that those links lead to.

Every Airflow process imports this file, so nothing here imports more than it needs: the pages are built by
the API server at their first request, and the links are looked up where Airflow asks for them.
"""

from threading import Lock
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import BaseOperatorLink

from churn_airflow.links import (
    DATA_DOCS_XCOM,
    DRIFT_REPORT_XCOM,
    MLFLOW_RUN_XCOM,
    PAGES_PREFIX,
    REPORTS_PATH,
    VALIDATION_HISTORY_XCOM,
    report_url,
)


def _pushed(name: str, key: str, operator: Any, ti_key: Any) -> str:
    """What the task pushed under `key`, or an empty text. Runs in the API server only."""
    from airflow.serialization.definitions.operatorlink import XComOperatorLink

    return XComOperatorLink(name=name, xcom_key=key).get_link(operator, ti_key=ti_key)


class MlflowRunLink(BaseOperatorLink):
    """From a task to its MLflow run."""

    name = "MLflow run"
    key = MLFLOW_RUN_XCOM

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address that the task pushed; empty where it pushed none."""
        return _pushed(self.name, self.key, operator, ti_key)


class ReportLink(BaseOperatorLink):
    """From a task to a page below the reports folder, served by this plugin."""

    name = ""
    key = ""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address of the page that the task pushed; empty where it pushed none."""
        from airflow.api_fastapi.app import API_ROOT_PATH

        page = _pushed(self.name, self.key, operator, ti_key)
        return report_url(page, API_ROOT_PATH) if page else ""


class DataDocsLink(ReportLink):
    """From a validation to the data docs."""

    name = "Data docs"
    key = DATA_DOCS_XCOM


class ValidationHistoryLink(ReportLink):
    """From a validation to all that were before it."""

    name = "Validation history"
    key = VALIDATION_HISTORY_XCOM


class DriftReportLink(ReportLink):
    """From a drift task to its report."""

    name = "Drift report"
    key = DRIFT_REPORT_XCOM


class ReportPages:
    """The ASGI app of the pages, built at its first request."""

    def __init__(self) -> None:
        self._app: Any = None
        self._building = Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand a request to the FastAPI app."""
        with self._building:
            if self._app is None:
                from churn_airflow.report_pages import create_app

                self._app = create_app()
        await self._app(scope, receive, send)


class ChurnPlugin(AirflowPlugin):
    """What Airflow finds."""

    name = "churn"
    # Declared for all operators: that needs no import of TaskFlow's operator classes. For a task that pushed
    # nothing the UI shows no link.
    global_operator_extra_links = [  # noqa: RUF012
        MlflowRunLink(),
        DataDocsLink(),
        ValidationHistoryLink(),
        DriftReportLink(),
    ]
    fastapi_apps = [{"app": ReportPages(), "url_prefix": PAGES_PREFIX, "name": "Churn reports"}]  # noqa: RUF012
    # Without a url_route it opens in a tab of its own: Airflow's frame forbids links to other services.
    external_views = [{"name": "Churn", "href": f"{REPORTS_PATH}/", "destination": "nav"}]  # noqa: RUF012
