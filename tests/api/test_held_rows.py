"""What a killed worker had not written to the request log is counted by another, exactly once."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from churn.db import api_requests
from churn.db.api_requests import Batch, Loss
from churn.db.database import Database
from churn.settings import PROJECT
from churn_api.held import HeldRows, losses
from churn_api.journal import Journal
from tests.api.callers import batches, logged, wait_until
from tests.api.test_request_log import AWAY, request_of
from tests.conftest import TestDatabase

# Takes three rows, writes none, and waits to be killed.
WORKER = """
import sys, time
from pathlib import Path
from churn.db.database import Database
from churn_api.journal import Journal
from tests.api.test_request_log import AWAY, request_of
journal = Journal(Database(AWAY), 2, held_folder=Path(sys.argv[1]))
for _ in range(3):
    journal.keep(request_of())  # the third is dropped, and nobody was told yet
print("holds", flush=True)
time.sleep(600)
"""


@pytest.fixture
def api_role(churn_database: TestDatabase) -> Database:
    return churn_database.as_role("churn_api")


def killed_worker(folder: Path) -> None:
    """Let a process hold rows and kill it."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "holds\n"
    with losses(folder) as found:
        assert found == []  # it lives
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()


def dropped(database: TestDatabase) -> int:
    return sum(batch["dropped_count"] for batch in batches(database))


def test_the_rows_of_a_killed_worker_are_counted_once_by_those_who_live(
    churn_database: TestDatabase, api_role: Database, tmp_path: Path
) -> None:
    killed_worker(tmp_path)
    survivors = [Journal(api_role, 10, seconds_between_writes=0.01, held_folder=tmp_path) for _ in range(3)]
    for survivor in survivors:
        survivor.start()
    wait_until(lambda: dropped(churn_database) > 0)
    for survivor in survivors:
        survivor.stop(10)
    assert dropped(churn_database) == 3
    assert sum(survivor.standing.dropped for survivor in survivors) == 3
    assert list(tmp_path.iterdir()) == []


def test_while_the_database_is_away_the_loss_stays_to_be_counted(
    churn_database: TestDatabase, api_role: Database, tmp_path: Path
) -> None:
    killed_worker(tmp_path)
    survivor = Journal(Database(AWAY), 10, seconds_between_writes=0.01, held_folder=tmp_path)
    survivor.start()
    time.sleep(0.3)  # several looks
    survivor._database = api_role
    wait_until(lambda: survivor.standing.dropped == 3)
    survivor.stop(10)
    assert dropped(churn_database) == 3


@pytest.mark.parametrize("arrived", [True, False])
def test_the_batch_that_was_tried_is_lost_only_where_it_did_not_arrive(
    arrived: bool, churn_database: TestDatabase, api_role: Database, tmp_path: Path
) -> None:
    """The worker dies between the commit and its answer, or before the commit: it cannot know which."""
    own = HeldRows(tmp_path, "test:1")
    batch = Batch(uuid4(), "test:1", [request_of(answers=4)], 0)
    own.take(4)
    own.take(5)
    own.begin(batch.batch_id, 4)
    own._map.close()
    own._file.close()  # as the kernel does it
    if arrived:
        api_requests.write(api_role, batch)
    with losses(tmp_path) as found:
        (loss,) = found
        assert api_requests.count_loss(api_role, loss) == (5 if arrived else 9)
    assert dropped(churn_database) == (5 if arrived else 9)
    assert len(logged(churn_database)) == (4 if arrived else 0)


def test_a_loss_is_counted_once_however_often_and_by_however_many_it_is_told(
    churn_database: TestDatabase, api_role: Database
) -> None:
    loss = Loss(uuid4(), "test:1", 7, uuid4(), 3)
    with ThreadPoolExecutor(4) as tellers:
        list(tellers.map(lambda _: api_requests.count_loss(api_role, loss), range(8)))
    assert dropped(churn_database) == 7


def test_a_worker_that_has_written_everything_leaves_nothing(api_role: Database, tmp_path: Path) -> None:
    journal = Journal(api_role, 10, seconds_between_writes=0.01, held_folder=tmp_path)
    journal.start()
    journal.keep(request_of(answers=3))
    assert len(list(tmp_path.iterdir())) == 1
    journal.stop(10)
    assert journal.standing.written == 3
    assert list(tmp_path.iterdir()) == []
