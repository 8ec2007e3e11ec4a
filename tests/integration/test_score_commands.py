"""`churn score ...` and `churn explain`: what a person or a program at the command line gets."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from churn.cli import app
from churn.errors import ConfigurationError
from churn.services import Services
from tests.jobs import DAY, admit_simulated, promote_model


@pytest.fixture
def command_line(services: Services, monkeypatch: pytest.MonkeyPatch) -> Services:
    """The environment that names the services of this test."""
    monkeypatch.setenv("CHURN_DATABASE_URL", services.database.url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", services.tracking.tracking_uri)
    monkeypatch.setenv("CHURN_REPORTS_DIR", services.reports.url)
    monkeypatch.setenv("CHURN_LANDING_URL", services.landing.url)
    return services


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def answer(*arguments: str) -> list[dict[str, Any]]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return list(json.loads(result.stdout))


def test_the_night_its_history_and_the_way_back(command_line: Services) -> None:
    rows = admit_simulated(command_line, count=300)
    promote_model(command_line)
    (published,) = answer("score", "run")
    assert (published["state"], published["scored"], published["with_reasons"]) == ("published", 300, 300)
    assert answer("score", "history") == [published]
    (again,) = answer("score", "rollback", str(DAY), "--reason", "a drill")
    assert again["scoring_run_id"] == published["scoring_run_id"]
    rollback, publication = answer("score", "publications")
    assert (rollback["action"], rollback["reason"], publication["action"]) == ("rollback", "a drill", "publish")
    (explained,) = answer("explain", rows.customerID[3], "--date", str(DAY))
    assert explained["equal"] == "equal"
    assert explained["stored"] == explained["recomputed"]
    table = run("explain", rows.customerID[3])
    assert "equal" in table.stdout
    assert rows.customerID[3] in table.stdout


def test_publishing_past_the_checks_needs_the_word_and_a_reason(command_line: Services) -> None:
    with pytest.raises(ConfigurationError, match="--force"):
        run("score", "publish", "1", "--reason", "because")
    with pytest.raises(ConfigurationError, match="reason is empty"):
        run("score", "publish", "1", "--force", "--reason", " ")
    assert run("score", "publish", "1", "--force").exit_code == 2


def test_an_unknown_mode_is_refused_with_the_ones_there_are(command_line: Services) -> None:
    result = run("score", "run", "--mode", "half")
    assert result.exit_code == 2
    assert "shadow" in result.output
