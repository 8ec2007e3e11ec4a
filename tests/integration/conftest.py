"""What tests of jobs and adapters share."""

import pytest

from tests import watched
from tests.conftest import TestMlflow, TestServer, without_aliases
from tests.judging import compiled_templates, judge_at_hand
from tests.watched import SixWeeks

__all__ = ["compiled_templates", "judge_at_hand"]  # pytest takes them from here


@pytest.fixture(scope="session")
def six_weeks(
    postgres: TestServer, migrated_template: str, mlflow_server: TestMlflow, tmp_path_factory: pytest.TempPathFactory
) -> SixWeeks:
    """A telecom that has been at work for six weeks and in which nothing is wrong; to be read, or copied."""
    database = postgres.copy(migrated_template, "churn_six_weeks")
    without_aliases(mlflow_server.tracking_uri)
    services = watched.open_services(database, mlflow_server, tmp_path_factory.mktemp("six-weeks"))
    return SixWeeks(database, watched.live(services, database.as_role("churn_api")))
