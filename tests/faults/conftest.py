"""What tests of faults start from: an evening of which each test has its own copy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from churn.jobs.score_customers import score_customers
from churn.services import Services
from tests.conftest import TestDatabase, TestMlflow, TestServer
from tests.faults.evening import (
    TODAY,
    TODAY_COUNT,
    YESTERDAY,
    YESTERDAY_COUNT,
    Evening,
    open_services,
)
from tests.faults.readers import Watch, read_table
from tests.jobs import admit_simulated, promote_model
from tests.judging import compiled_templates, judge_at_hand

__all__ = ["compiled_templates", "judge_at_hand"]  # pytest takes them from here


@pytest.fixture(scope="session")
def migrated_template(
    postgres: TestServer, migrated_template: str, mlflow_server: TestMlflow, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The schema with an evening in it: what every fresh database of these tests is copied from."""
    database = postgres.copy(migrated_template, "churn_evening")
    services = open_services(database, mlflow_server, tmp_path_factory.mktemp("evening"))
    promote_model(services)
    admit_simulated(services, YESTERDAY_COUNT, YESTERDAY, seed=1)
    score_customers(services)
    admit_simulated(services, TODAY_COUNT, TODAY, seed=2)
    return "churn_evening"


@pytest.fixture(scope="session")
def undisturbed_texts(
    postgres: TestServer, migrated_template: str, mlflow_server: TestMlflow, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, str]:
    """Yesterday's table and tonight's, where nothing happens; kept in a database that no test touches."""
    database = postgres.copy(migrated_template, "churn_undisturbed")
    services = open_services(database, mlflow_server, tmp_path_factory.mktemp("undisturbed"))
    promote_model(services)
    reader = database.as_role("crm_reader").url
    yesterday = read_table(reader).text
    score_customers(services)
    tonight = read_table(reader).text
    assert yesterday
    assert tonight
    return yesterday, tonight


@pytest.fixture
def evening(undisturbed_texts: tuple[str, str], services: Services, churn_database: TestDatabase) -> Iterator[Evening]:
    """The evening of one test, watched by a reader who never sees anything but one whole run."""
    version = promote_model(services)
    with Watch(churn_database.as_role("crm_reader").url) as watch:
        yield Evening(services, churn_database, version, watch, *undisturbed_texts)
    assert watch.count > 0
    for table in watch.seen:
        assert table.is_whole
        assert table.row_count in (YESTERDAY_COUNT, TODAY_COUNT)


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    """A policy under which a worker that stands still for a second is taken for dead."""
    path = tmp_path / "policy.toml"
    path.write_text("takeover_after_seconds = 1\n", "utf-8")
    return path
