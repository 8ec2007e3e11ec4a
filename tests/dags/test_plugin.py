"""The plugin in a real API server: its links lead somewhere, and its pages are for logged-in users only."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from churn.platform.ports import LOOPBACK
from churn.reports import Reports
from churn.settings import PROJECT, Settings
from churn_airflow.links import mlflow_run_page, mlflow_run_url, report_url
from churn_airflow.report_pages import index_page
from tests.server import Server, random_free_port

PASSWORD = "only-for-tests"
MLFLOW = "http://mlflow.example:5000"
LINKED_DAG = """
from airflow.sdk import dag, task

@dag(schedule=None)
def linked():
    @task
    def reporting():
        from types import SimpleNamespace

        from churn_airflow import links
        links.link_mlflow_run("0a1b")
        links.link_drift_report("drift/7.html")
        page = "data_docs/validations/a b.html"
        links.link_data_docs([SimpleNamespace(data_docs=page), SimpleNamespace(data_docs=None)])

    @task
    def mapped(number):
        from churn_airflow.links import link_mlflow_run
        link_mlflow_run(f"run{number}")

    @task
    def silent():
        pass

    reporting() >> mapped.expand(number=[1, 2]) >> silent()

linked()
"""


@dataclass(frozen=True)
class TestAirflow:
    """A running API server with the plugin, one finished run of the DAG `linked`, and its reports folder."""

    __test__ = False
    url: str
    reports: Path

    def login(self, user: str = "reader") -> dict[str, str]:
        answer = requests.post(f"{self.url}/auth/token", json={"username": user, "password": PASSWORD}, timeout=20)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=20, allow_redirects=False, **options)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestAirflow]:
    home = tmp_path_factory.mktemp("airflow")
    reports, port = home / "reports", random_free_port()
    environment = _environment(home, reports)
    _write_reports(reports)
    for command in (["db", "migrate"], ["dags", "reserialize"], ["dags", "test", "linked"]):
        _airflow(environment, *command)
    command = [
        sys.executable,
        "-m",
        "airflow",
        "api-server",
        "--host",
        LOOPBACK,
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    server = Server(command, f"http://{LOOPBACK}:{port}", home / "api-server.log", environment)
    try:
        server.start("/api/v2/monitor/health")
        yield TestAirflow(server.url, reports)
    finally:
        server.stop()


def _environment(home: Path, reports: Path) -> dict[str, str]:
    (home / "dags").mkdir()
    (home / "dags/linked.py").write_text(LINKED_DAG)
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({"reader": PASSWORD}))
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "reader:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__API_AUTH__JWT_SECRET": "only for tests, " * 5,
        "AIRFLOW__API__SECRET_KEY": "only for tests, " * 5,
        "CHURN_REPORTS_DIR": str(reports),
        "CHURN_MLFLOW_TRACKING_URI": MLFLOW,
    }


def _airflow(environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airflow", *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def _write_reports(reports: Path) -> None:
    pages = {
        "drift/7.html": "<script>draw()</script>seven",
        "drift/12.html": "twelve",
        "drift/7.txt": "not a page",
        "data_docs/index.html": "docs",
        "data_docs/static/styles/docs.css": "h1 {}",
        "data_docs/validations/customers_extract/<night>/20261122T000000Z/a.html": "validated",
        "secret.html": "not below drift or data_docs",
    }
    for name, text in pages.items():
        (reports / name).parent.mkdir(parents=True, exist_ok=True)
        (reports / name).write_text(text)
    (reports / "drift/99.html").symlink_to(reports / "secret.html")


PAGES = ["/churn/", "/churn/reports/", "/churn/reports/drift/7.html", "/churn/reports/data_docs/index.html"]


@pytest.mark.parametrize("path", PAGES)
def test_no_page_is_served_without_login(airflow: TestAirflow, path: str) -> None:
    assert airflow.get(path).status_code == 401
    assert airflow.get(path, headers={"Authorization": "Bearer garbage"}).status_code == 403
    assert airflow.get(path, cookies={"_token": "garbage"}).status_code == 403


@pytest.mark.parametrize("path", PAGES[1:])
def test_a_logged_in_user_is_served(airflow: TestAirflow, path: str) -> None:
    login = airflow.login()
    assert airflow.get(path, headers=login).status_code == 200
    token = login["Authorization"].removeprefix("Bearer ")
    assert airflow.get(path, cookies={"_token": token}).status_code == 200


@pytest.mark.parametrize("path", ["/churn/docs", "/churn/redoc", "/churn/openapi.json"])
def test_nothing_describes_the_app_to_strangers(airflow: TestAirflow, path: str) -> None:
    assert airflow.get(path).status_code == 404


def test_the_short_address_leads_to_the_index(airflow: TestAirflow) -> None:
    answer = airflow.get("/churn/", headers=airflow.login())
    assert answer.status_code == 307
    assert answer.headers["Location"] == "reports/"


def test_a_drift_report_may_draw_but_reach_nothing(airflow: TestAirflow) -> None:
    answer = airflow.get("/churn/reports/drift/7.html", headers=airflow.login())
    assert answer.text == "<script>draw()</script>seven"
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_data_docs_come_with_their_styles_and_without_scripts(airflow: TestAirflow) -> None:
    login = airflow.login()
    policy = airflow.get("/churn/reports/data_docs/", headers=login).headers["Content-Security-Policy"]
    assert "script" not in policy
    styles = airflow.get("/churn/reports/data_docs/static/styles/docs.css", headers=login)
    assert (styles.status_code, styles.headers["Content-Type"]) == (200, "text/css; charset=utf-8")


@pytest.mark.parametrize(
    "page",
    ["drift/8.html", "drift/../secret.html", "drift/..%2fsecret.html", "drift/%2e%2e/secret.html",
     "drift/99.html", "drift//etc/passwd.html", "drift/7.txt", "drift/", "drift/7.html%00.html",
     "drift/..%5csecret.html",
     "data_docs/%2e%2e/%2e%2e/secret.html", "secret.html", "data_docs/" + "a" * 300 + ".html"],
)  # fmt: skip
def test_nothing_outside_the_two_folders_is_served(airflow: TestAirflow, page: str) -> None:
    session = requests.Session()
    request = requests.Request("GET", f"{airflow.url}/churn/reports/", headers=airflow.login()).prepare()
    request.url = f"{airflow.url}/churn/reports/{page}"  # as an attacker writes it: not made canonical
    answer = session.send(request, timeout=20)
    assert answer.status_code == 404
    assert answer.json()["detail"]
    assert "below drift" not in answer.text


def test_the_index_lists_the_newest_report_first_and_escapes_names(airflow: TestAirflow) -> None:
    text = airflow.get("/churn/reports/", headers=airflow.login()).text
    assert text.index("Drift report 12") < text.index("Drift report 7")
    assert "customers_extract · &lt;night&gt;" in text
    assert "%3Cnight%3E" in text
    assert "<night>" not in text
    assert f'href="{MLFLOW}"' in text


def test_an_empty_folder_is_an_index_too(tmp_path: Path) -> None:
    assert "None yet." in index_page(Settings(reports_dir=tmp_path / "nothing"))


def test_a_report_is_found_by_its_name_only(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside/1.html").write_text("x")
    (tmp_path / "outside.html").write_text("x")
    reports = Reports(str(tmp_path))
    assert reports.read("inside", "1.html") == b"x"
    assert reports.read("inside", "../outside.html") is None
    assert reports.read("inside", str(tmp_path / "outside.html")) is None


def _links(airflow: TestAirflow, task: str, map_index: int = -1) -> dict[str, str | None]:
    login, runs = airflow.login(), "/api/v2/dags/linked/dagRuns"
    [run] = airflow.get(runs, headers=login).json()["dag_runs"]
    path = f"{runs}/{run['dag_run_id']}/taskInstances/{task}/links?map_index={map_index}"
    found: dict[str, str | None] = airflow.get(path, headers=login).json()["extra_links"]
    return found


def test_a_task_links_to_what_it_made(airflow: TestAirflow) -> None:
    assert _links(airflow, "reporting") == {
        "MLflow run": f"{MLFLOW}/#/runs/0a1b",
        "Drift report": "/churn/reports/drift/7.html",
        "Data docs": "/churn/reports/data_docs/validations/a%20b.html",
        "Validation history": "/churn/reports/data_docs/index.html",
    }
    assert _links(airflow, "mapped", 1)["MLflow run"] == f"{MLFLOW}/#/runs/run2"
    assert set(_links(airflow, "silent").values()) == {None}
    for name in ("Drift report", "Validation history"):
        page = _links(airflow, "reporting")[name]
        assert page
        assert airflow.get(page, headers=airflow.login()).status_code == 200


def test_the_plugin_is_loaded_with_its_entry_in_the_navigation(airflow: TestAirflow) -> None:
    [plugin] = airflow.get("/api/v2/plugins", headers=airflow.login()).json()["plugins"]
    assert plugin["name"] == "churn"
    assert plugin["external_views"][0]["href"] == "/churn/reports/"


def test_addresses_respect_a_base_path_and_odd_names() -> None:
    assert report_url("drift/7.html", "/airflow/") == "/airflow/churn/reports/drift/7.html"
    assert report_url("data_docs/a b/?.html") == "/churn/reports/data_docs/a%20b/%3F.html"
    assert mlflow_run_url("http://m:5000/", "a/b") == "http://m:5000/#/runs/a%2Fb"
    assert mlflow_run_url("sqlite:///mlflow.db", "a") is None
    assert mlflow_run_url(None, "a") is None


def test_a_link_leads_where_browsers_reach_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert mlflow_run_page("a") == "http://mlflow:5000/#/runs/a"
    monkeypatch.setenv("CHURN_MLFLOW_URL", "https://mlflow.example.org")
    assert mlflow_run_page("a") == "https://mlflow.example.org/#/runs/a"


def test_importing_the_plugin_is_light() -> None:
    code = (
        "import sys, airflow.plugins_manager, airflow.sdk.bases.operatorlink; before = set(sys.modules);"
        "import runpy; runpy.run_path(sys.argv[1]); print('\\n'.join(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(PROJECT / "plugins/churn_plugin.py")],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    added = {name.split(".")[0] for name in done.stdout.split()}
    heavy = {
        "pandas",
        "numpy",
        "mlflow",
        "evidently",
        "great_expectations",
        "lightgbm",
        "sklearn",
        "fastapi",
        "churn",
    }
    assert not heavy & added, heavy & added
