"""`make setup-data` and what `make up` refuses, on files of their own."""

import os
import subprocess
from pathlib import Path

import pytest

from churn.containers.env_file import complete_env_file, read_env_file, require_stack_secrets
from churn.containers.sample import add_sample
from churn.errors import ConfigurationError
from churn.secret_rules import OF_THE_STACK
from tests.makefile import make


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    complete_env_file(tmp_path / ".env")
    return tmp_path / ".env"


def make_up(env_file: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """`make up` with a Compose that only notes that it was called."""
    called = folder / "compose"
    called.write_text('#!/bin/sh\ntouch "$(dirname "$0")/was-called"\necho "{\\"services\\": {}}"\n')
    called.chmod(0o755)
    return make("up", f"COMPOSE={called}", f"ENV_FILE={env_file}", environment=_without_secrets())


def _without_secrets() -> dict[str, str]:
    ours = {each.variable for each in OF_THE_STACK}
    return {name: value for name, value in os.environ.items() if name not in ours and not name.startswith("CHURN_")}


def test_every_secret_is_written_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    added = complete_env_file(path)
    assert set(added) >= {each.variable for each in OF_THE_STACK}
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    assert complete_env_file(path) == []
    assert path.read_text() == before


def test_what_stands_there_stays_and_what_is_missing_is_added(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# mine\nCHURN_ENVIRONMENT=staging\nexport REDIS_PASSWORD='kept as it is'\nGRAFANA_ADMIN_PASSWORD=")
    path.chmod(0o644)
    before = path.read_text()
    added = complete_env_file(path)
    assert path.read_text().startswith(before + "\n")
    assert "REDIS_PASSWORD" not in added
    assert "GRAFANA_ADMIN_PASSWORD" in added
    known = read_env_file(path)
    assert known["REDIS_PASSWORD"] == "kept as it is"
    assert known["CHURN_ENVIRONMENT"] == "staging"
    assert len(known["GRAFANA_ADMIN_PASSWORD"]) >= 32
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_files_have_no_secret_in_common(tmp_path: Path) -> None:
    for name in ("a", "b"):
        complete_env_file(tmp_path / name)
    one, other = (read_env_file(tmp_path / name) for name in ("a", "b"))
    assert [each.variable for each in OF_THE_STACK if one[each.variable] == other[each.variable]] == []


def test_a_sample_lands_only_where_nothing_lies(tmp_path: Path) -> None:
    made = add_sample(tmp_path / "landing")
    assert made
    assert len(made.read_text().splitlines()) == 7_044
    assert add_sample(tmp_path / "landing") is None
    assert [file.name for file in (tmp_path / "landing").iterdir()] == [made.name]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("CHURN_ENVIRONMENT=production\nPOSTGRES_PASSWORD=postgres\n", "POSTGRES_PASSWORD"),
        ("CHURN_ENVIRONMENT=staging\nGRAFANA_ADMIN_PASSWORD=\n", "GRAFANA_ADMIN_PASSWORD"),
        ("CHURN_ENVIRONMENT=production\nAIRFLOW_FERNET_KEY=none\n", "AIRFLOW_FERNET_KEY"),
        ("CHURN_ENVIRONMENT=prod\n", "CHURN_ENVIRONMENT"),
        ("REDIS_PASSWORD=\n", "REDIS_PASSWORD"),
        ("BIND_ADDRESS=0.0.0.0\nAIRFLOW_ADMIN_PASSWORD=admin\n", "BIND_ADDRESS"),
    ],
)
def test_make_up_is_refused_by_name_before_anything_starts(
    env_file: Path, tmp_path: Path, change: str, named: str
) -> None:
    with env_file.open("a") as file:
        file.write(change)
    done = make_up(env_file, tmp_path)
    assert done.returncode != 0
    assert named in done.stderr
    assert not (tmp_path / "was-called").exists()


def test_make_up_goes_on_with_good_secrets(env_file: Path, tmp_path: Path) -> None:
    with env_file.open("a") as file:
        file.write("CHURN_ENVIRONMENT=production\n")
    make_up(env_file, tmp_path)
    assert (tmp_path / "was-called").exists()


def test_without_a_file_the_next_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="POSTGRES_PASSWORD is not set") as refused:
        require_stack_secrets(tmp_path / "absent.env", {})
    assert "make setup-data" in refused.value.next_step


def test_what_the_shell_sets_goes_before_the_file(env_file: Path) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_PASSWORD"):
        require_stack_secrets(env_file, {"REDIS_PASSWORD": "redis", "CHURN_ENVIRONMENT": "production"})
