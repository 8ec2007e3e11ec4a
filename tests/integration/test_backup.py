"""A backup is taken while everything goes on, verified before anything is touched, and restored into an empty place."""

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import pytest
import requests
import s3fs

from churn import backups
from churn.db import dumps
from churn.db.database import Database
from churn.db.migrations import migrate
from churn.errors import BackupDamaged, BackupFailed, NotEmpty, RestoreFailed
from churn.file_tree import FileTree
from churn.jobs.restore_backup import restore_backup
from churn.jobs.score_customers import score_customers
from churn.jobs.take_backup import Backup, Saved, take_backup
from churn.platform.life import databases_alone
from churn.services import Services
from churn.settings import PROJECT, Settings
from tests.api.conftest import VERBATIM
from tests.conftest import TestServer
from tests.faults.children import Child, start_night, wait_until
from tests.faults.places import Place
from tests.jobs import DAY, admit_simulated, approve, record_approval, register_model
from tests.nights import published
from tests.recovery import (
    api_over,
    as_role,
    command_environment,
    empty_server,
    give_passwords,
    ledger_of,
    mlflow_over,
    place_on,
    registry_of,
    rights_of,
    scores_of,
    services_over,
    state_of,
)

CUSTOMERS = 4_000


@dataclass(frozen=True)
class Living:
    """A system with a ledger, a registry, a published night and another one to be scored."""

    services: Services
    saved: Saved
    mlflow_url: str


@pytest.fixture(scope="module")
def living(postgres: TestServer, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    folder = tmp_path_factory.mktemp("living")
    name = f"living_{uuid.uuid4().hex[:8]}"
    postgres.copy(migrated_template, f"churn_{name}")
    saved = place_on(postgres, folder / "artifacts", name)
    migrate(saved.churn)  # a copy has the schema, but not the rights on the database
    with saved.churn.named("postgres").statements() as connection:
        connection.execute(f"CREATE DATABASE mlflow_{name}")
    saved = replace(saved, mlflow=saved.churn.named(f"mlflow_{name}"))
    with mlflow_over(saved.mlflow.url, saved.artifacts.url, folder) as mlflow:
        services = services_over(saved, mlflow.url, folder / "home")
        approve(services, seed=1)
        approve(services, seed=2)
        admit_simulated(services, CUSTOMERS, DAY.replace(day=20), seed=1)
        score_customers(services)
        admit_simulated(services, CUSTOMERS, DAY, seed=2)
        yield Living(services, saved, mlflow.url)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[TestServer]:
    with empty_server() as server:
        yield server


@pytest.fixture
def target(elsewhere: TestServer, tmp_path: Path) -> Saved:
    """An empty place."""
    return place_on(elsewhere, tmp_path / "restored-artifacts", uuid.uuid4().hex[:8])


@pytest.fixture(scope="module")
def kept(living: Living, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    """One backup, for the tests that are about what can be done with it; they copy it before they harm it."""
    return take_backup(living.saved, str(tmp_path_factory.mktemp("kept")))


def test_a_backup_taken_while_scoring_and_serving_is_the_system_again_elsewhere(
    living: Living, target: Saved, tmp_path: Path
) -> None:
    with api_over(living.saved, living.mlflow_url, tmp_path) as api:
        night = start_night(living.services, tmp_path / "night.log", Place("before", "churn.db.scoring_parts.finish"))
        taken, answers = _backup_beside(night, api.url, living.saved, tmp_path / "backups")
        assert night.wait() == 0, night.said()
        served = _ask(api.url)
    assert len(answers) > 3
    assert set(answers) == {served["churn_probability"]}

    restored = restore_backup(taken.url, target)

    assert restored.manifest == backups.read_manifest(FileTree(taken.url))
    give_passwords(target)
    table = published(as_role(target, "crm_reader"))
    assert len(table) == CUSTOMERS
    (run_id,) = table["scoring_run_id"].unique()
    assert scores_of(target.churn, run_id) == scores_of(living.saved.churn, run_id)
    assert ledger_of(target.churn) == ledger_of(living.saved.churn)
    with mlflow_over(target.mlflow.url, target.artifacts.url, tmp_path) as mlflow:
        assert registry_of(mlflow.url) == registry_of(living.mlflow_url)
        with api_over(target, mlflow.url, tmp_path) as api:
            again = _ask(api.url)
        assert again["model_version"] == served["model_version"]
        assert again["churn_probability"] == pytest.approx(served["churn_probability"], abs=1e-12)
        # And it lives: the night that the backup cut in half is finished there, to the same bits.
        finished = score_customers(services_over(target, mlflow.url, tmp_path / "home"))
    ours = published(living.services.database)
    assert finished.snapshot_date == DAY
    assert published(target.churn)["churn_probability"].tolist() == ours["churn_probability"].tolist()


def _backup_beside(night: Child, url: str, saved: Saved, place: Path) -> tuple[Backup, list[object]]:
    """Take a backup while a night, half done, goes on, and somebody asks the API again and again."""
    night.wait_until_stopped()
    enough = Event()
    answers: list[object] = []

    def ask() -> None:
        while not enough.is_set():
            answers.append(_ask(url)["churn_probability"])

    with ThreadPoolExecutor(1) as caller:
        asking = caller.submit(ask)
        try:
            night.wake()
            taken = take_backup(saved, str(place))
        finally:
            enough.set()
        asking.result()
    return taken, answers


def _ask(url: str) -> dict[str, object]:
    response = requests.post(f"{url}/predict", json=VERBATIM, timeout=30)
    assert response.status_code == 200, response.text
    return response.json()


def test_a_backup_waits_for_a_promotion_that_is_under_way(living: Living, target: Saved, tmp_path: Path) -> None:
    third = register_model(living.services, seed=3)
    before = living.services.registry.production_version().version
    with ThreadPoolExecutor(1) as operator:
        with living.saved.churn.lock("promotion"):
            record_approval(living.services, third, replaced=before)  # the ledger knows, the alias has not moved
            backup = operator.submit(take_backup, living.saved, str(tmp_path / "backups"))
            wait_until(lambda: _waits_for_lock(living.saved), "the backup waits for the promotion")
            living.services.registry.promote(third)
        taken = backup.result()
    restore_backup(taken.url, target)
    assert ledger_of(target.churn)[-1]["model_version"] == third
    assert _production_in(target) == third == living.services.registry.production_version().version


def _waits_for_lock(saved: Saved) -> bool:
    statement = (
        "SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database"
        " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
    )
    with saved.churn.transaction() as connection:
        return connection.execute(statement).fetchone() is not None


def _production_in(saved: Saved) -> int:
    with saved.mlflow.transaction() as connection:
        row = connection.execute("SELECT version FROM registered_model_aliases WHERE alias = 'production'").fetchone()
    assert row
    return int(row["version"])


def test_what_is_restored_has_the_rows_the_grants_and_the_owners_of_the_original(
    living: Living, kept: Backup, target: Saved
) -> None:
    restore_backup(kept.url, target)
    assert dumps.row_counts(target.churn) == kept.manifest.databases["churn"].row_counts
    assert dumps.row_counts(target.mlflow) == kept.manifest.databases["mlflow"].row_counts
    assert rights_of(target) == rights_of(living.saved)
    assert target.artifacts.sizes() == {name: file.size for name, file in kept.manifest.artifacts.items()}
    assert {artifact for artifact in target.artifacts.sizes() if artifact.endswith("contents.json")}


@pytest.mark.parametrize("name", ["churn.dump", "mlflow.dump", "artifact", "manifest.json"])
@pytest.mark.parametrize("damage", ["flipped", "missing", "truncated"])
def test_a_damaged_backup_is_refused_before_anything_is_touched(
    kept: Backup, target: Saved, tmp_path: Path, name: str, damage: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(kept.url, copy)
    _harm(copy / _a_file(kept, name), damage)
    before = state_of(target)
    with pytest.raises(BackupDamaged, match="Nothing was changed"):
        restore_backup(str(copy), target)
    assert state_of(target) == before


def _a_file(kept: Backup, name: str) -> str:
    if name != "artifact":
        return name
    return next(each for each in sorted(kept.manifest.files) if each.endswith("reference.parquet"))


def _harm(path: Path, damage: str) -> None:
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    else:
        middle = len(content) // 2
        harmed = bytes([content[middle] ^ 1])
        path.write_bytes(content[:middle] + harmed + content[middle + 1 :])


def test_a_backup_of_another_schema_is_refused_with_the_version_that_can_restore_it(
    kept: Backup, target: Saved, tmp_path: Path
) -> None:
    copy = FileTree(str(tmp_path / "copy"))
    shutil.copytree(kept.url, copy.url)
    backups.write_manifest(copy, replace(kept.manifest, schema_revision="0001", product_version="0.0.9"))
    before = state_of(target)
    with pytest.raises(BackupDamaged, match=r"schema revision 0001.*churn 0\.0\.9"):
        restore_backup(copy.url, target)
    assert state_of(target) == before


def test_a_place_that_holds_something_is_refused_with_the_names_of_what_is_there(kept: Backup, target: Saved) -> None:
    with target.churn.named("postgres").statements() as connection:
        connection.execute(f"CREATE DATABASE {target.churn.name}")
    with target.churn.transaction() as connection:
        connection.execute("CREATE TABLE public.precious AS SELECT 1 AS one")
    target.artifacts.write("theirs/model.bin", [b"precious"])
    before = state_of(target)
    with pytest.raises(NotEmpty, match=r"public\.precious.*theirs/model\.bin"):
        restore_backup(kept.url, target)
    assert state_of(target) == before
    assert target.artifacts.read("theirs/model.bin") == b"precious"


def test_a_place_to_which_somebody_is_connected_is_refused(kept: Backup, target: Saved) -> None:
    with target.churn.named("postgres").statements() as connection:
        connection.execute(f"CREATE DATABASE {target.churn.name}")
    with target.churn.transaction(), pytest.raises(NotEmpty, match="someone is connected"):
        restore_backup(kept.url, target)


@pytest.mark.parametrize(
    "step",
    [
        "churn.db.dumps.load",
        "churn.jobs.restore_backup.put_in_place",
        "churn.db.restoring._rename",
    ],
)
def test_a_restore_that_is_killed_leaves_an_empty_place_and_can_be_run_again(
    kept: Backup, target: Saved, step: str
) -> None:
    killed = _restore_until(step, kept, target)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    names = {row["datname"] for row in state_of(target)["databases"]}
    assert not names & {target.churn.name, target.mlflow.name}
    done = _restore_command(kept, target)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["model_versions"] == len(kept.manifest.model_versions)
    assert dumps.row_counts(target.churn) == kept.manifest.databases["churn"].row_counts
    left = {row["datname"] for row in state_of(target)["databases"] if row["datname"].endswith("_restoring")}
    assert left == set()
    again = _restore_command(kept, target)
    assert again.returncode == 1
    assert "not empty" in again.stderr


def test_a_restore_that_fails_removes_what_it_had_made(
    kept: Backup, target: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = state_of(target)
    monkeypatch.setattr("churn.jobs.restore_backup.put_in_place", full)
    with pytest.raises(RestoreFailed, match="No space left"):
        restore_backup(kept.url, target)
    assert state_of(target) == before


def _restore_until(step: str, kept: Backup, target: Saved) -> "subprocess.CompletedProcess[str]":
    """`churn restore` in a process of its own, killed before a step."""
    module, _, name = step.rpartition(".")
    code = (
        "import os, signal, sys, pkgutil\n"
        "from churn import cli\n"
        f"setattr(pkgutil.resolve_name({module!r}), {name!r}, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))\n"
        "cli.main()"
    )
    return _run([sys.executable, "-c", code], kept, target)


def _restore_command(kept: Backup, target: Saved) -> "subprocess.CompletedProcess[str]":
    return _run([str(Path(sys.executable).with_name("churn"))], kept, target)


def _run(command: list[str], kept: Backup, target: Saved) -> "subprocess.CompletedProcess[str]":
    short_lived = {"TMPDIR": str(Path(target.artifacts.url).parent)}  # a killed one cannot tidy up
    environment = os.environ | command_environment(target) | short_lived
    arguments = [*command, "restore", kept.url, "--json"]
    return subprocess.run(arguments, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_a_backup_goes_to_s3_and_comes_from_there(
    living: Living, target: Saved, s3_bucket: s3fs.S3FileSystem, tmp_path: Path
) -> None:
    taken = take_backup(living.saved, "s3://landing/backups")
    on_s3 = replace(target, artifacts=FileTree("s3://landing/mlflow"))
    restore_backup(taken.url, on_s3)
    assert on_s3.artifacts.sizes() == {name: file.size for name, file in taken.manifest.artifacts.items()}
    assert dumps.row_counts(target.churn) == taken.manifest.databases["churn"].row_counts


def test_only_the_newest_backups_are_kept_and_nothing_else_is_removed(kept: Backup, tmp_path: Path) -> None:
    place = FileTree(str(tmp_path))
    for day in ("01", "02", "03"):
        shutil.copytree(kept.url, tmp_path / f"churn-202611{day}T020000Z")
    (tmp_path / "churn-20261101T030000Z").mkdir()  # was killed
    (tmp_path / "churn-notes").mkdir()
    assert backups.prune(place, keep=2) == ["churn-20261101T020000Z", "churn-20261101T030000Z"]
    assert place.folders() == ["churn-20261102T020000Z", "churn-20261103T020000Z", "churn-notes"]
    assert backups.backups_in(place) == ["churn-20261102T020000Z", "churn-20261103T020000Z"]


def test_a_registry_whose_artifact_is_damaged_gives_no_backup(living: Living, tmp_path: Path) -> None:
    name = next(each for each in sorted(living.saved.artifacts.sizes()) if each.endswith("policy.json"))
    path = living.saved.artifacts.local_path(name)
    assert path
    content = path.read_bytes()
    path.write_bytes(content.replace(b":", b";", 1))
    try:
        with pytest.raises(BackupFailed, match="not what the registry recorded"):
            take_backup(living.saved, str(tmp_path / "backups"))
    finally:
        path.write_bytes(content)
    assert FileTree(str(tmp_path / "backups")).folders() == []


def test_a_new_state_folder_is_filled_before_its_platform_ever_ran(kept: Backup, tmp_path: Path) -> None:
    home = tmp_path / "home"
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "CHURN_"))}
    environment = bare | {"CHURN_HOME": str(home)}
    command = [str(Path(sys.executable).with_name("churn")), "restore", kept.url]
    for expected, words in ((0, "Restored"), (1, "not empty")):
        done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == expected, done.stderr
        assert words in done.stdout + done.stderr
    with databases_alone(Settings(home=home)) as platform:
        assert platform.admin_database_url
        counts = [Database(url) for url in (platform.admin_database_url, platform.mlflow_database_url)]
        assert [dumps.row_counts(database) for database in counts] == [
            kept.manifest.databases[name].row_counts for name in ("churn", "mlflow")
        ]
        assert len(FileTree(platform.artifacts).sizes()) == len(kept.manifest.artifacts)
