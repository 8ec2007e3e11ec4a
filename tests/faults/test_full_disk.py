"""The disk of the scores fills up: the night says so, yesterday's table stays, and with more room it is finished."""

import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from churn.errors import DatabaseFull
from churn.jobs.check_scores import check_scores
from churn.jobs.score_customers import open_run, score_customers
from churn.jobs.score_part import score_part
from churn.platform.postgres import OS_USER
from tests.conftest import TestDatabase
from tests.faults.evening import Evening

TABLESPACE = "small_disk"
ROOM_FOR_THE_PLAN, ROOM_FOR_THE_ROWS, ROOM_FOR_ALL = "512k", "10000k", "64m"  # rows: scores and reasons


@dataclass(frozen=True)
class SmallDisk:
    """A file system in memory, of a size that can be changed."""

    folder: Path

    def mount(self, size: str) -> None:
        owner = pwd.getpwnam(OS_USER)
        options = f"size={size},mode=0700,uid={owner.pw_uid},gid={owner.pw_gid}"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)], capture_output=True, text=True
        )
        if done.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")

    def resize(self, size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.folder)], check=True)

    def unmount(self) -> None:
        """Wait for the server's processes to close what was dropped: until then the file system is busy."""
        deadline = time.monotonic() + 60
        while (done := subprocess.run(["umount", str(self.folder)], capture_output=True, text=True)).returncode != 0:
            assert "busy" in done.stderr, done.stderr
            assert time.monotonic() < deadline, done.stderr
            time.sleep(0.2)


@pytest.fixture
def small_disk(churn_database: TestDatabase) -> Iterator[SmallDisk]:
    """The disk of every table that the test's database makes from now on."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    with ExitStack() as undo:
        folder = Path(tempfile.mkdtemp(prefix="churn-test-disk-"))
        undo.callback(folder.rmdir)
        disk = SmallDisk(folder)
        disk.mount(ROOM_FOR_THE_PLAN)
        undo.callback(disk.unmount)
        admin = undo.enter_context(psycopg.connect(churn_database.server.url("postgres", "postgres"), autocommit=True))
        names = {"tablespace": sql.Identifier(TABLESPACE), "database": sql.Identifier(churn_database.name)}
        for statement, undoing in (
            ("CREATE TABLESPACE {tablespace} LOCATION {folder}", "DROP TABLESPACE {tablespace}"),
            ("GRANT CREATE ON TABLESPACE {tablespace} TO churn_owner", None),
            (
                "ALTER DATABASE {database} SET default_tablespace = {tablespace}",
                "DROP DATABASE {database} WITH (FORCE)",
            ),
        ):
            admin.execute(sql.SQL(statement).format(**names, folder=sql.Literal(str(folder))))
            if undoing:
                undo.callback(admin.execute, sql.SQL(undoing).format(**names))
        yield disk


def test_a_full_disk_stops_the_night_until_there_is_room(small_disk: SmallDisk, evening: Evening) -> None:
    run_id = open_run(evening.services).scoring_run_id
    with pytest.raises(DatabaseFull, match="Free or add space, then run this again"):
        score_part(evening.services, run_id, 1)
    evening.require_yesterday()
    assert evening.ask("SELECT count(*) AS n FROM churn.scores_2") == [{"n": 0}]

    small_disk.resize(ROOM_FOR_THE_ROWS)
    score_part(evening.services, run_id, 1)
    with pytest.raises(DatabaseFull, match="Free or add space, then run this again"):
        check_scores(evening.services, run_id)  # no room for the key
    evening.require_yesterday()

    small_disk.resize(ROOM_FOR_ALL)
    score_customers(evening.services)
    evening.require_finished()
