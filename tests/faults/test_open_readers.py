"""A reader who keeps a transaction open neither waits for a publication nor makes it wait."""

import statistics
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from churn.db import publications, scores
from churn.jobs.publish_scores import drop_old_scores, roll_back
from churn.jobs.score_customers import open_run, score_customers
from churn.jobs.score_part import score_part
from tests.faults.children import wait_until
from tests.faults.evening import YESTERDAY, YESTERDAY_RUN, Evening, with_policy
from tests.nights import run_of

PUBLISH_SECONDS = 0.050
GIVE_WAY_SECONDS = 2.0  # a tenth of a second of waiting; the rest is connecting, on a machine that has much to do
LOOK = "SELECT count(*) AS count, min(scoring_run_id) AS lowest, max(scoring_run_id) AS highest FROM crm.churn_scores"


@pytest.fixture
def open_reader(evening: Evening) -> Iterator[psycopg.Connection[Any]]:
    """A transaction of crm_reader that has read the scores and fails where it has to wait for a lock."""
    with psycopg.connect(evening.database.as_role("crm_reader").url) as connection:
        connection.execute("SET lock_timeout = '100ms'")
        assert _look(connection) == 1
        yield connection


def _look(connection: psycopg.Connection[Any]) -> int:
    """Read the scores in the open transaction; return the one run that they are of."""
    count, lowest, highest = connection.execute(LOOK).fetchone() or (0, 0, 0)
    assert count > 0
    assert lowest == highest
    return int(lowest)


def test_publishing_past_an_open_reader_takes_no_time(evening: Evening, open_reader: psycopg.Connection[Any]) -> None:
    run = score_customers(evening.services)
    assert _look(open_reader) == run.scoring_run_id
    seconds = []
    for _ in range(9):
        roll_back(evening.services, YESTERDAY, "to publish again")
        assert _look(open_reader) == YESTERDAY_RUN
        with evening.services.database.exclusive("publish scores", 300) as connection:
            started = time.perf_counter()
            with connection.transaction():
                publications.publish(connection, run)
            seconds.append(time.perf_counter() - started)
        assert _look(open_reader) == run.scoring_run_id
    assert open_reader.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
    assert statistics.median(seconds) < PUBLISH_SECONDS, seconds
    assert evening.table().text == evening.undisturbed
    evening.require_no_leftovers()


def test_dropping_old_scores_gives_way_to_an_open_reader(
    evening: Evening, open_reader: psycopg.Connection[Any]
) -> None:
    old = open_run(with_policy(evening.services, maximum_mean_shift=0.06))
    score_part(evening.services, old.scoring_run_id, 1)
    with evening.services.database.transaction() as connection:
        scores.seal(connection, old)
    score_customers(evening.services)
    assert run_of(evening.services, old.scoring_run_id).state == "superseded"
    _look(open_reader)
    at_once = with_policy(evening.services, unpublished_kept_days=0)
    started = time.perf_counter()
    assert drop_old_scores(at_once) == []
    assert time.perf_counter() - started < GIVE_WAY_SECONDS
    _look(open_reader)
    open_reader.commit()
    # The reader who watches all the time is given way to as well.
    wait_until(lambda: drop_old_scores(at_once) == [old.scoring_run_id], "nobody reads for a moment")
    assert run_of(evening.services, old.scoring_run_id).scores_dropped_at is not None
    assert evening.table().text == evening.undisturbed
