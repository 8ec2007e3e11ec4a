"""What Airflow is told on many machines: options that it knows, and no secret."""

import re
import subprocess
import sys

import pytest
from airflow.configuration import conf
from airflow.providers.celery.get_provider_info import get_provider_info

from churn.settings import PROJECT
from tests.cluster.control import distributed_options

ADDRESSES = (
    "AIRFLOW__CELERY__BROKER_URL",
    "AIRFLOW__CELERY__RESULT_BACKEND",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW_CONN_CHURN_DB",
    "CHURN_REPORTS_URL",
    "CHURN_LANDING_URL",
    "MLFLOW_TRACKING_URI",
)


def _options() -> set[str]:
    described = {**conf.configuration_description, **get_provider_info()["config"]}
    return {
        f"AIRFLOW__{section}__{name}".upper()
        for section, content in described.items()
        for name in content.get("options", {})
    }


def test_airflow_knows_every_option_that_it_is_given() -> None:
    given = {name for name in (*distributed_options(), *ADDRESSES) if name.startswith("AIRFLOW__")}
    assert given - _options() == set()


@pytest.mark.parametrize("name", ADDRESSES)
def test_addresses_and_secrets_come_beside_the_file_and_are_in_the_docs(name: str) -> None:
    assert name not in distributed_options()
    assert f"`{name}`" in (PROJECT / "docs/growing.md").read_text("utf-8")


def test_every_value_says_what_it_is_in_one_line() -> None:
    for name, value in distributed_options().items():
        assert re.fullmatch(r"[A-Z_]+", name)
        assert value == value.strip() != ""


def test_the_executor_of_many_machines_can_be_imported() -> None:
    code = "import airflow.providers.celery.executors.celery_executor"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
