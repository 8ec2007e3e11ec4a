"""Reports in a bucket: what one machine writes, another shows, and neither keeps a file of it."""

from dataclasses import replace
from pathlib import Path

import pytest
import s3fs

from churn.errors import ReportsUnavailable
from churn.jobs.report_drift import report_drift
from churn.jobs.score_customers import score_customers
from churn.reports import DATA_DOCS_FOLDER, DRIFT_FOLDER, Reports
from churn.run_judge import RunJudge
from churn.services import Services
from churn.settings import Settings
from churn_airflow import doors
from churn_airflow.report_pages import index_page
from tests.jobs import admit_simulated, promote_model

BUCKET = "s3://landing/reports"


@pytest.fixture
def shared(services: Services, s3_bucket: s3fs.S3FileSystem, monkeypatch: pytest.MonkeyPatch) -> Services:
    """Services whose reports lie in a bucket, and the judge's own process, as in a task."""
    monkeypatch.setattr("churn.jobs.check_scores.RunJudge", RunJudge)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", '{"conn_type": "aws"}')
    return replace(services, reports=Reports(BUCKET))


def test_a_night_and_a_drift_report_leave_their_pages_in_the_bucket(shared: Services, services: Services) -> None:
    admit_simulated(shared, count=300)
    promote_model(shared)
    score_customers(shared)
    outcome = report_drift(shared)
    assert outcome.page is not None

    elsewhere = Reports(BUCKET)
    assert [page.name for page in elsewhere.pages(DRIFT_FOLDER)] == [outcome.page]
    content = elsewhere.read(DRIFT_FOLDER, outcome.page.removeprefix(f"{DRIFT_FOLDER}/"))
    assert content is not None
    assert len(content) > 100_000
    docs = {page.name for page in elsewhere.pages(DATA_DOCS_FOLDER)}
    for suite in ("customers_extract", "scoring_run"):
        assert any(f"/validations/{suite}/" in name for name in docs)
    assert f"{DATA_DOCS_FOLDER}/index.html" not in docs
    assert elsewhere.read(DATA_DOCS_FOLDER, "static/styles/data_docs_default_styles.css")
    assert not services.reports.folder.exists()


def test_the_pages_of_the_plugin_are_those_of_the_bucket(shared: Services) -> None:
    settings = Settings(reports_url=BUCKET)
    assert "None yet." in index_page(settings)
    with shared.reports.writing() as folder:
        _write(folder / DRIFT_FOLDER / "9.html", folder / DRIFT_FOLDER / "10.html")
        _write(folder / DATA_DOCS_FOLDER / "validations/scoring_run/a run/20261122T000000Z/b.html")
    text = index_page(settings)
    assert text.index("Drift report 10") < text.index("Drift report 9")
    assert "scoring_run · a run" in text
    assert doors.reports(settings).read(DRIFT_FOLDER, "9.html") == b"a page"


@pytest.mark.parametrize("page", ["../secret.html", "a/../../secret.html", "/secret.html", "..\\secret.html", "8.html"])
def test_nothing_beside_a_folder_of_the_bucket_is_read(shared: Services, page: str) -> None:
    with shared.reports.writing() as folder:
        _write(folder / "secret.html")
    assert shared.reports.read(DRIFT_FOLDER, page) is None


def test_only_the_newest_numbers_are_kept(shared: Services) -> None:
    with shared.reports.writing() as folder:
        _write(*(folder / DRIFT_FOLDER / f"{number}.html" for number in (8, 9, 10, 11)))
    shared.reports.prune(DRIFT_FOLDER, keep=2)
    assert sorted(page.name for page in shared.reports.pages(DRIFT_FOLDER)) == ["drift/10.html", "drift/11.html"]


def test_nothing_is_sent_of_what_failed(shared: Services) -> None:
    with pytest.raises(FileNotFoundError), shared.reports.writing() as folder:
        _fail_after(folder / DRIFT_FOLDER / "1.html")
    assert shared.reports.pages(DRIFT_FOLDER) == []


def test_a_bucket_that_is_not_there_is_named_with_what_to_do(s3_bucket: s3fs.S3FileSystem) -> None:
    with (
        pytest.raises(ReportsUnavailable, match=r"s3://nowhere/reports .* Correct CHURN_REPORTS_URL"),
        Reports("s3://nowhere/reports").writing() as folder,
    ):
        _write(folder / DRIFT_FOLDER / "1.html")


def _fail_after(page: Path) -> None:
    _write(page)
    page.with_name("nothing").read_bytes()


def _write(*pages: Path) -> None:
    for page in pages:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("a page")
