"""The pages of the plugin: drift reports and data docs, to logged-in users who may read the DAG behind them.

Airflow serves a plugin's app without asking who comes; every route here asks Airflow's own security. The
reports are pages that other libraries wrote: they are shown without a way to the network or the session.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from churn.settings import Settings
from churn_airflow.links import DATA_DOCS_FOLDER, DRIFT_FOLDER

SHOWN_COUNT = 100
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
        return _file(settings.reports / DRIFT_FOLDER, page, DRIFT_POLICY)

    @app.get(f"/reports/{DATA_DOCS_FOLDER}/{{page:path}}", dependencies=[may_read_quality])
    def data_docs(page: str) -> Response:
        return _file(settings.reports / DATA_DOCS_FOLDER, page or "index.html", DATA_DOCS_POLICY)

    return app


def find_report(folder: Path, page: str) -> Path | None:
    """The file of `page` inside `folder`, or None where there is none, or it leads out by .. or a link."""
    if "\x00" in page or "\\" in page or PurePosixPath(page).suffix.lower() not in CONTENT_TYPES:
        return None
    inside = folder.resolve()
    try:
        file = (inside / page).resolve()
        return file if file.is_relative_to(inside) and file.is_file() else None
    except OSError:  # a name too long, or a loop of links
        return None


def _file(folder: Path, page: str, policy: str) -> Response:
    file = find_report(folder, page)
    if file is None:
        raise HTTPException(404, "There is no such report; old ones are deleted. Choose one from churn/reports/.")
    return FileResponse(file, media_type=CONTENT_TYPES[file.suffix.lower()], headers=_headers(policy))


def _headers(policy: str) -> dict[str, str]:
    return {**_COMMON_HEADERS, "Content-Security-Policy": policy}


def index_page(settings: Settings) -> str:
    """The list of what there is to open, newest first, as a page without scripts.

    It lists the data docs' pages itself: their own index draws its table with scripts from the internet.
    """
    reports, docs = settings.reports, settings.reports / DATA_DOCS_FOLDER
    drift = sorted((reports / DRIFT_FOLDER).glob("*.html"), key=_report_id, reverse=True)
    validations = sorted((docs / "validations").rglob("*.html"), key=_written_at, reverse=True)
    suites = sorted((docs / "expectations").rglob("*.html"))
    return _PAGE.format(
        drift=_list(reports, drift, lambda page: f"Drift report {page.stem}"),
        validations=_list(reports, validations, lambda page: _validation_name(page, docs)),
        suites=_list(reports, suites, lambda page: f"Suite {page.stem}"),
        elsewhere=_elsewhere(settings),
    )


def _list(reports: Path, pages: list[Path], name: Callable[[Path], str]) -> str:
    """Links to pages with the time at which each was written; a sentence where there are none."""
    if not pages:
        return "<p>None yet.</p>"
    items = "".join(
        f'<li><a href="{escape(quote(page.relative_to(reports).as_posix()))}">{escape(name(page))}</a> '
        f"<small>{_written_at(page):%Y-%m-%d %H:%M} UTC</small></li>"
        for page in pages[:SHOWN_COUNT]
    )
    return f"<ul>{items}</ul>"


def _elsewhere(settings: Settings) -> str:
    """Links to the other services that a browser can open."""
    places = [
        ("MLflow: every run and model version", settings.mlflow_tracking_uri),
        ("API", settings.api_url),
    ]
    shown = [(name, url) for name, url in places if url and url.startswith(("http://", "https://"))]
    items = "".join(
        f'<li><a href="{escape(url)}" target="_blank" rel="noopener noreferrer">{escape(name)}</a></li>'
        for name, url in shown
    )
    return f"<ul>{items}</ul>" if items else "<p>No address is set for MLflow or the API.</p>"


def _validation_name(page: Path, docs: Path) -> str:
    """The suite and run of a page validations/<suite>/<run name>/<run time>/<batch>.html."""
    return " · ".join(page.relative_to(docs / "validations").parts[:2])


def _report_id(page: Path) -> int:
    return int(page.stem) if page.stem.isascii() and page.stem.isdigit() else -1


def _written_at(page: Path) -> datetime:
    """When a page was written; a page that was deleted meanwhile counts as oldest."""
    try:
        return datetime.fromtimestamp(page.stat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.fromtimestamp(0, UTC)


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
