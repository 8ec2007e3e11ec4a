"""The pages of the plugin: drift reports and data docs, to logged-in users who may read the DAG behind them.

Airflow serves a plugin's app without asking who comes; every route here asks Airflow's own security. The
reports are pages that other libraries wrote: they are shown without a way to the network or the session.
"""

from collections.abc import Callable
from html import escape
from pathlib import PurePosixPath
from urllib.parse import quote

from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from churn.reports import DATA_DOCS_FOLDER, DRIFT_FOLDER, Page, Reports, number_of
from churn.settings import Settings
from churn_airflow import doors
from churn_airflow.links import VALIDATION_HISTORY

SHOWN_COUNT = 100
VALIDATIONS = f"{DATA_DOCS_FOLDER}/validations/"
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ico": "image/x-icon",
    ".ttf": "font/ttf",
    ".otf": "font/otf",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
_COMMON_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_NOTHING_ELSE = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
INDEX_POLICY = f"{_NOTHING_ELSE}; style-src 'unsafe-inline'"
# A drift report draws itself with scripts inside the page; the sandbox gives them an origin of their own,
# without the Airflow session, and no address to send anything to.
DRIFT_POLICY = (
    f"{_NOTHING_ELSE}; sandbox allow-scripts allow-downloads; "
    "script-src 'unsafe-inline' 'unsafe-eval' data: blob:; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; worker-src blob:"
)
# Data docs need no script, but files of this folder: they keep the origin, or no cookie would go along.
DATA_DOCS_POLICY = (
    f"{_NOTHING_ELSE}; sandbox allow-same-origin; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:"
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The FastAPI app for PAGES_PREFIX; `settings` say where the reports, MLflow and the API are."""
    settings = settings or Settings()
    app = FastAPI(title="Churn reports", docs_url=None, redoc_url=None, openapi_url=None)
    may_read_drift = Depends(requires_access_dag("GET", param_dag_id="report_drift"))
    may_read_quality = Depends(requires_access_dag("GET", param_dag_id="validate_customers"))

    @app.get("/", dependencies=[may_read_drift])
    def start() -> Response:
        return RedirectResponse("reports/", headers=_headers(INDEX_POLICY))

    @app.get("/reports/", dependencies=[may_read_drift, may_read_quality])
    def index() -> Response:
        return HTMLResponse(index_page(settings), headers=_headers(INDEX_POLICY))

    @app.get(f"/reports/{DRIFT_FOLDER}/{{page:path}}", dependencies=[may_read_drift])
    def drift_report(page: str) -> Response:
        return _page_of(doors.reports(settings), DRIFT_FOLDER, page, DRIFT_POLICY)

    @app.get(f"/reports/{DATA_DOCS_FOLDER}/{{page:path}}", dependencies=[may_read_quality])
    def data_docs(page: str) -> Response:
        reports, page = doors.reports(settings), page or PurePosixPath(VALIDATION_HISTORY).name
        if reports.folder is None and page == PurePosixPath(VALIDATION_HISTORY).name:
            return RedirectResponse("../", headers=_headers(INDEX_POLICY))  # many machines have no history but ours
        return _page_of(reports, DATA_DOCS_FOLDER, page, DATA_DOCS_POLICY)

    return app


def _page_of(reports: Reports, folder: str, page: str, policy: str) -> Response:
    content_type = CONTENT_TYPES.get(PurePosixPath(page).suffix.lower())
    content = reports.read(folder, page) if content_type else None
    if content is None:
        raise HTTPException(404, "There is no such report; old ones are deleted. Choose one from churn/reports/.")
    return Response(content, media_type=content_type, headers=_headers(policy))


def _headers(policy: str) -> dict[str, str]:
    return {**_COMMON_HEADERS, "Content-Security-Policy": policy}


def index_page(settings: Settings) -> str:
    """The list of what there is to open, newest first, as a page without scripts.

    It lists the data docs' pages itself: their own index draws its table with scripts from the internet.
    """
    reports = doors.reports(settings)
    docs = reports.pages(DATA_DOCS_FOLDER)
    drift = sorted(reports.pages(DRIFT_FOLDER), key=lambda page: number_of(page.name), reverse=True)
    validations = sorted(_below(docs, VALIDATIONS), key=lambda page: page.written_at, reverse=True)
    suites = sorted(_below(docs, f"{DATA_DOCS_FOLDER}/expectations/"), key=lambda page: page.name)
    return _PAGE.format(
        drift=_list(drift, _drift_name),
        validations=_list(validations, _validation_name),
        suites=_list(suites, lambda name: f"Suite {PurePosixPath(name).stem}"),
        elsewhere=_elsewhere(settings),
    )


def _drift_name(page: str) -> str:
    path = PurePosixPath(page)
    return f"Drift report {path.stem}" + (" of requests" if path.parent.name == "requests" else "")


def _below(pages: list[Page], folder: str) -> list[Page]:
    return [page for page in pages if page.name.startswith(folder)]


def _list(pages: list[Page], title: Callable[[str], str]) -> str:
    """Links to pages with the time at which each was written; a sentence where there are none."""
    if not pages:
        return "<p>None yet.</p>"
    items = "".join(
        f'<li><a href="{escape(quote(page.name))}">{escape(title(page.name))}</a> '
        f"<small>{page.written_at:%Y-%m-%d %H:%M} UTC</small></li>"
        for page in pages[:SHOWN_COUNT]
    )
    return f"<ul>{items}</ul>"


def _elsewhere(settings: Settings) -> str:
    """Links to the other services that a browser can open."""
    places = [
        ("MLflow: every run and model version", settings.mlflow_page),
        ("API", settings.api_url),
    ]
    shown = [(name, url) for name, url in places if url and url.startswith(("http://", "https://"))]
    items = "".join(
        f'<li><a href="{escape(url)}" target="_blank" rel="noopener noreferrer">{escape(name)}</a></li>'
        for name, url in shown
    )
    return f"<ul>{items}</ul>" if items else "<p>No address is set for MLflow or the API.</p>"


def _validation_name(name: str) -> str:
    """The suite and run of a page data_docs/validations/<suite>/<run name>/<run time>/<batch>.html."""
    return " · ".join(PurePosixPath(name.removeprefix(VALIDATIONS)).parts[:2])


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Churn reports</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }}
h1, h2 {{ line-height: 1.2; }} li {{ margin: .25rem 0; }}
</style></head><body>
<h1>Churn reports</h1>
<h2>Drift</h2><p>How far customers are from those the Production model learned from.</p>{drift}
<h2>Data quality</h2><p>What each landed extract was found to be.</p>{validations}
<p>The expectations themselves:</p>{suites}
<h2>Elsewhere</h2>{elsewhere}
</body></html>
"""
