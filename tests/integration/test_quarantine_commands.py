"""`churn quarantine ...` and `churn validate`: what a person or a program at the command line gets."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from churn.cli import app
from churn.db.database import Database
from churn.errors import ChurnError, ConfigurationError, ExtractRefused, NotFound, ReleaseRefused
from churn.jobs.validate_customers import validate_customers
from churn.services import Services
from tests.factories import NAMES, customer_rows, write_extract
from tests.integration.validations import DAY, land, open_services


@pytest.fixture
def services(pipeline: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    """The services that the environment names."""
    services = open_services(pipeline, tmp_path)
    monkeypatch.setenv("CHURN_DATABASE_URL", services.database.url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("CHURN_LANDING_URL", services.landing.url)
    monkeypatch.setenv("CHURN_REPORTS_DIR", services.reports.url)
    return services


@pytest.fixture
def extract_id(services: Services) -> str:
    """An admitted extract of which lines 6 and 11 are in quarantine."""
    land(services, DAY, rows_with_two_bad())
    (outcome,) = validate_customers(services)
    assert outcome.extract.quarantined_count == 2
    return str(outcome.extract.extract_id)


def rows_with_two_bad() -> list[dict[str, str]]:
    rows = customer_rows(100)
    rows[4] |= {"tenure": "x", "gender": "\x1b[2J"}
    rows[9] |= {"MonthlyCharges": "70,5", "customerID": "[red]odd[/blue]"}
    return rows


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def answer(*arguments: str) -> list[dict[str, Any]]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return list(json.loads(result.stdout))


def test_list_says_where_rows_are_and_which(services: Services, extract_id: str) -> None:
    (extract,) = answer("quarantine", "list")
    assert extract == {
        "extract_id": int(extract_id), "snapshot_date": str(DAY), "source_url": services.landing.url_of(DAY),
        "row_count": 100, "admitted_count": 98, "quarantined_count": 2, "released_count": 0,
    }  # fmt: skip
    first, second = answer("quarantine", "list", extract_id)
    assert (first["line_number"], first["customer"]) == (6, "0000005-TEST")
    assert first["reasons"] == ["gender is '?[2J', not one of Female, Male", "tenure is 'x', not a whole number"]
    assert second["reasons"] == ["MonthlyCharges is '70,5', not a number"]
    assert answer("quarantine", "list", extract_id, "--limit", "1") == [first]
    assert answer("quarantine", "list", extract_id, "--released") == []
    table = run("quarantine", "list", extract_id).stdout
    assert "[red]odd[/blue]" in table
    with pytest.raises(ChurnError, match="There is no extract 99"):
        run("quarantine", "list", "99")


def test_show_gives_the_row_as_it_was_delivered_without_obeying_it(extract_id: str) -> None:
    (row,) = answer("quarantine", "show", extract_id, "6")
    assert row["raw_text"].startswith("0000005-TEST,\x1b[2J,0,Yes")
    assert (row["raw_values"]["tenure"], row["released_at"]) == ("x", None)
    table = run("quarantine", "show", extract_id, "6").stdout
    assert "\x1b" not in table
    assert "\\x1b[2J" in table
    assert "not a whole number" in table
    with pytest.raises(NotFound, match="no quarantined row at line 7"):
        run("quarantine", "show", extract_id, "7")


def test_what_export_prints_is_corrected_and_released(extract_id: str, tmp_path: Path) -> None:
    printed = run("quarantine", "export", extract_id).stdout_bytes
    rows = list(csv.DictReader(io.StringIO(printed.decode(), newline="")))
    assert list(rows[0]) == ["line_number", *NAMES, "reasons"]
    file = tmp_path / "corrected.csv"
    file.write_bytes(printed)
    with pytest.raises(ReleaseRefused, match=r"so none was: row 2 \(line_number 6\): gender"):
        run("quarantine", "release", extract_id, str(file))
    rows[0] |= {"gender": "Male", "tenure": "7", "TotalCharges": "500"}
    write_extract(file, rows[:1], tuple(rows[0]))
    (released,) = answer("quarantine", "release", extract_id, str(file))
    assert (released["released"], released["admitted"], released["quarantined"]) == (1, 99, 1)
    assert "churn score run" in released["note"]
    (row,) = answer("quarantine", "list", extract_id, "--released")
    assert (row["line_number"], row["released_by"]) == (6, "churn_pipeline")
    shown = run("quarantine", "show", extract_id, "6").stdout
    assert "x -> 7" in shown
    assert "by churn_pipeline" in shown
    with pytest.raises(ConfigurationError, match="There is no file"):
        run("quarantine", "release", extract_id, str(tmp_path / "absent.csv"))


# A verdict without the database ---------------------------------------------------------------------------


@pytest.fixture
def without_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An analyst's machine: nothing is configured, and nothing runs."""
    monkeypatch.setenv("CHURN_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("CHURN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir(mode=0o755)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    return tmp_path


def test_validate_gives_the_verdict_of_the_door_and_leaves_nothing(without_services: Path) -> None:
    file = write_extract(without_services / f"customers-{DAY}.csv", rows_with_two_bad())
    (verdict,) = answer("validate", str(file))
    assert verdict["verdict"] == "would be admitted"
    assert (verdict["rows"], verdict["admitted"], verdict["quarantined"]) == (100, 98, 2)
    assert "without comparison with earlier extracts" in verdict["judged"]
    assert [row["line_number"] for row in verdict["quarantined_rows"]] == [6, 11]
    assert verdict["quarantined_rows"][1]["reasons"] == ["MonthlyCharges is '70,5', not a number"]
    assert list((without_services / "scratch").iterdir()) == []
    assert not (without_services / "home").exists()


def test_validate_ends_with_1_where_the_file_would_be_refused_and_keeps_its_page_where_asked(
    without_services: Path,
) -> None:
    file = write_extract(without_services / f"customers-{DAY}.csv", customer_rows(50, tenure="none"))
    result = run("validate", str(file), "--reports", str(without_services / "pages"))
    assert result.exit_code == 1
    assert "would be refused" in result.stdout
    assert "tenure" in result.stdout
    assert (without_services / "pages" / "data_docs" / "index.html").is_file()
    assert list((without_services / "scratch").iterdir()) == []


def test_validate_says_what_the_door_says_to_a_name_without_a_date(without_services: Path) -> None:
    file = write_extract(without_services / "customers.csv", customer_rows(5))
    with pytest.raises(ExtractRefused, match="not named like an extract"):
        run("validate", str(file))
    assert list((without_services / "scratch").iterdir()) == []
