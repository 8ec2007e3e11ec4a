"""Which secrets are none: judged by name, at `make up` and by every process of a container."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from churn.containers.env_file import complete_env_file, random_secret, read_env_file
from churn.containers.start import check_environment, write_passwords
from churn.errors import ConfigurationError
from churn.secret_rules import OF_A_PROCESS, OF_THE_STACK, Secret, environment_of, faults
from churn.settings import PROJECT

VARIABLES = [each.variable for each in OF_THE_STACK]
BY_VARIABLE = {each.variable: each for each in OF_THE_STACK}


@pytest.fixture
def good(tmp_path: Path) -> dict[str, str]:
    """The secrets of a stack in production, as `make setup-data` makes them."""
    complete_env_file(tmp_path / "good.env")
    return read_env_file(tmp_path / "good.env") | {"CHURN_ENVIRONMENT": "production"}


def test_what_setup_data_writes_is_fit_for_production(tmp_path: Path) -> None:
    for number in range(200):
        path = tmp_path / f"{number}.env"
        complete_env_file(path)
        assert faults(read_env_file(path) | {"CHURN_ENVIRONMENT": "production"}, OF_THE_STACK) == {}


@pytest.mark.parametrize("environment", ["local", "staging", "production"])
@pytest.mark.parametrize("variable", VARIABLES)
def test_a_missing_secret_is_named_everywhere(good: dict[str, str], variable: str, environment: str) -> None:
    given = good | {variable: "", "CHURN_ENVIRONMENT": environment}
    assert faults(given, OF_THE_STACK) == {variable: "is not set"}


@pytest.mark.parametrize(
    "value",
    [
        *("airflow", "postgres", "changeme", "minioadmin", "password123", "secret", "admin"),
        *("changeme-changeme-changeme-changeme-changeme", "replace-this-password-with-a-secret-one"),
        *("a" * 64, "0123456789" * 6, "short1!"),
    ],
)
@pytest.mark.parametrize("variable", VARIABLES)
def test_a_default_is_named_outside_local_and_let_through_at_home(
    good: dict[str, str], variable: str, value: str
) -> None:
    assert list(faults(good | {variable: value}, OF_THE_STACK)) == [variable]
    assert faults(good | {variable: value, "CHURN_ENVIRONMENT": "local"}, OF_THE_STACK) == {}


def test_a_fault_never_repeats_the_secret(good: dict[str, str]) -> None:
    weak = "tr0ub4dor"
    assert weak not in str(faults(good | {"REDIS_PASSWORD": weak}, OF_THE_STACK))


def test_two_doors_do_not_have_one_key(good: dict[str, str]) -> None:
    given = good | {"CRM_READER_PASSWORD": good["POSTGRES_PASSWORD"]}
    assert faults(given, OF_THE_STACK) == {"CRM_READER_PASSWORD": "has the value of POSTGRES_PASSWORD"}


def test_a_password_that_would_break_its_url_is_named(good: dict[str, str]) -> None:
    given = good | {"MLFLOW_DATABASE_PASSWORD": secrets.token_hex(16) + "@/"}
    assert "URL" in faults(given, OF_THE_STACK)["MLFLOW_DATABASE_PASSWORD"]


def test_an_unknown_environment_is_no_way_around() -> None:
    with pytest.raises(ConfigurationError, match="CHURN_ENVIRONMENT is 'prod'"):
        environment_of({"CHURN_ENVIRONMENT": "prod"})


@pytest.mark.parametrize(
    "each", [each for each in OF_A_PROCESS if each.kind == "address"], ids=lambda each: each.variable
)
def test_a_process_reads_the_password_out_of_an_address(each: Secret) -> None:
    strong = random_secret("password")
    for password, is_named in (("airflow", True), (strong, False), ("", False)):
        url = f"db+postgresql+psycopg2://me:{password}@somewhere:5432/db"
        told = json.dumps({"conn_type": "postgres", "login": "me", "password": password})
        for address in (url, told):
            environ = {"CHURN_ENVIRONMENT": "staging", each.variable: address}
            assert (each.variable in faults(environ, (), OF_A_PROCESS)) == is_named


def test_a_password_that_its_address_has_escaped_is_none_the_worse() -> None:
    environ = {"CHURN_ENVIRONMENT": "staging", "CHURN_DATABASE_URL": "postgresql://me:%40w7%2FqL0nB8%23vX2mK9@db/churn"}
    assert faults(environ, (), OF_A_PROCESS) == {}


def test_airflow_does_not_start_outside_local_without_the_keys_that_its_processes_share() -> None:
    environ = {"CHURN_ENVIRONMENT": "production", "AIRFLOW__CORE__FERNET_KEY_SECRET": "airflow/fernet"}
    with pytest.raises(ConfigurationError, match="AIRFLOW__API_AUTH__JWT_SECRET is not set") as refused:
        check_environment(environ, ["airflow", "scheduler"])
    assert "FERNET" not in refused.value.message  # it comes from the secrets backend
    check_environment(environ, ["gunicorn"])
    check_environment({}, ["airflow", "scheduler"])


@pytest.mark.parametrize(("environment", "ends_with"), [("production", 1), ("local", 0)])
def test_a_container_refuses_to_become_its_command(environment: str, ends_with: int) -> None:
    environ = {
        **os.environ, "CHURN_ENVIRONMENT": environment, "MLFLOW_BACKEND_STORE_URI": "postgresql://mlflow:mlflow@db/mlflow",
    }  # fmt: skip
    command = [sys.executable, "-m", "churn.containers.start", sys.executable, "-c", "print('became it')"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == ends_with
    assert ("became it" in done.stdout) == (ends_with == 0)
    assert ("MLFLOW_BACKEND_STORE_URI" in done.stderr) == (ends_with == 1)


def test_the_login_file_is_for_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "airflow" / "passwords.json"
    for password in ("the first", "the second"):
        write_passwords(
            {"AIRFLOW_ADMIN_PASSWORD": password, "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(path)}
        )
        assert json.loads(path.read_text()) == {"admin": password}
        assert path.stat().st_mode & 0o777 == 0o600


def test_what_make_up_asks_needs_no_library() -> None:
    asked = ", ".join(f"churn.containers.{name}" for name in ("check", "health_table", "start", "probe"))
    path = f"import sys; sys.path.insert(0, {str(PROJECT / 'include')!r})"
    subprocess.run([sys.executable, "-I", "-S", "-c", f"{path}; import {asked}"], check=True)
