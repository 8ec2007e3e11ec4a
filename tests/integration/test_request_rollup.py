"""The rollup of the request log says what the log says, whoever writes and however often."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from churn.db import api_requests
from churn.db.api_requests import Batch
from churn.db.database import Database
from churn.jobs.forget_requests import drop_old_requests
from tests import traffic
from tests.conftest import TestDatabase

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
BOUNDS = [0, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 250, 500, 1000, 2500, 5000, 10000]


@pytest.fixture
def api_role(churn_database: TestDatabase) -> Database:
    return churn_database.as_role("churn_api")


def rows(database: TestDatabase, statement: str) -> list[dict[str, Any]]:
    with database.as_role("postgres").transaction() as connection:
        return connection.execute(statement).fetchall()


def counted(database: TestDatabase) -> list[dict[str, Any]]:
    return rows(
        database,
        "SELECT minute, route, status, problem, arm, sum(request_count)::int AS requests,"
        " sum(answer_count)::int AS answers FROM monitoring.api_minutes GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5",
    )


def test_requests_answers_and_problems_are_counted_by_minute(api_role: Database, churn_database: TestDatabase) -> None:
    minute = NOW - timedelta(minutes=3)
    three = [{"tenure": 1}, {"tenure": 2}, {"tenure": 3}]
    traffic.write(api_role, [traffic.answered(minute), traffic.answered(minute + timedelta(seconds=59))])
    traffic.write(api_role, [traffic.answered(minute, inputs=three), traffic.failed(minute, 422, "invalid-fields")])
    common = {"minute": minute, "route": "/v1/predict"}
    assert counted(churn_database) == [
        common | {"status": 200, "problem": "", "arm": "production", "requests": 3, "answers": 5},
        common | {"status": 422, "problem": "invalid-fields", "arm": "", "requests": 1, "answers": 0},
    ]


def test_a_shadow_answers_nobody(api_role: Database, churn_database: TestDatabase) -> None:
    request = traffic.answered(NOW)
    (answer,) = request.answers
    shadow = traffic.answered(NOW, arm="shadow").answers
    both = type(request)(**{**vars(request), "answers": (answer, *shadow)})
    traffic.write(api_role, [both])
    assert [(row["arm"], row["requests"], row["answers"]) for row in counted(churn_database)] == [
        ("production", 1, 1),
        ("shadow", 0, 1),
    ]


def test_a_batch_that_is_tried_again_is_counted_once(api_role: Database, churn_database: TestDatabase) -> None:
    batch = Batch(uuid4(), "test:1", [traffic.answered(NOW)], 0)
    api_requests.write(api_role, batch)
    api_requests.write(api_role, batch)
    assert [row["requests"] for row in counted(churn_database)] == [1]


def test_many_workers_at_once_lose_no_count_and_lock_nobody_out(
    api_role: Database, churn_database: TestDatabase
) -> None:
    def work(worker: int) -> None:
        slow_first = traffic.durations(40, seed=worker)
        for _ in range(10):
            requests = [traffic.answered(NOW, milliseconds) for milliseconds in slow_first]
            traffic.write(api_role, requests, f"test:{worker}")

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(work, range(8)))
    assert [row["requests"] for row in counted(churn_database)] == [8 * 10 * 40]


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_percentile_lies_in_the_bucket_of_the_exact_one(
    api_role: Database, churn_database: TestDatabase, share: float
) -> None:
    taken = traffic.durations(3_000)
    traffic.write(api_role, [traffic.answered(NOW, milliseconds) for milliseconds in taken])
    (row,) = rows(
        churn_database,
        f"SELECT monitoring.percentile({share}, array_agg(bucket), array_agg(request_count))"  # noqa: S608
        " AS found FROM monitoring.api_minutes",
    )
    exact = float(np.quantile(taken, share, method="inverted_cdf"))
    assert np.searchsorted(BOUNDS, row["found"]) == np.searchsorted(BOUNDS, exact)


@pytest.mark.parametrize(
    ("buckets", "counts", "share", "milliseconds"),
    [
        ("{0}", "{10}", 0.5, 0.5),
        ("{1}", "{10}", 1.0, 1.5),
        ("{4,5}", "{5,5}", 0.5, 4.0),
        ("{4,5}", "{5,5}", 0.75, 4.5),
        ("{21}", "{3}", 0.5, 10_000.0),
        ("{4}", "{0}", 0.5, None),
    ],
)
def test_a_percentile_is_spread_evenly_within_its_bucket(
    churn_database: TestDatabase, buckets: str, counts: str, share: float, milliseconds: float | None
) -> None:
    (row,) = rows(
        churn_database,
        f"SELECT monitoring.percentile({share}, '{buckets}'::smallint[], '{counts}'::bigint[]) AS found",
    )
    assert row["found"] == (milliseconds if milliseconds is None else pytest.approx(milliseconds))


def test_what_was_turned_away_is_told_with_the_batch(api_role: Database, churn_database: TestDatabase) -> None:
    traffic.write(api_role, [], dropped_count=2, limited_count=7, denied_count=5)
    with churn_database.as_role("grafana_reader").transaction() as connection:
        found = connection.execute(
            "SELECT dropped_count, limited_count, denied_count FROM monitoring.api_log_batches"
        ).fetchall()
    assert found == [{"dropped_count": 2, "limited_count": 7, "denied_count": 5}]


def test_the_rollup_is_kept_as_long_as_the_log(
    api_role: Database, pipeline: Database, churn_database: TestDatabase
) -> None:
    traffic.write(api_role, [traffic.answered(NOW - timedelta(days=9)), traffic.answered(NOW)])
    drop_old_requests(pipeline, kept_days=7)
    assert [row["minute"] for row in counted(churn_database)] == [NOW]
