"""Requests of the API as its workers log them, in any number: written by what the journal writes with."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

import numpy as np

from churn.db import api_requests
from churn.db.api_requests import Answer, Batch, LoggedRequest
from churn.db.database import Database


def answered(
    at: datetime,
    milliseconds: float = 4.0,
    inputs: Iterable[Mapping[str, Any]] = ({"tenure": 3, "Contract": "One year"},),
    model_version: int = 1,
    probability: float = 0.25,
    route: str = "/v1/predict",
    arm: str = "production",
) -> LoggedRequest:
    """A request that was answered about each of `inputs`."""
    answers = tuple(Answer(None, given, probability, "low", model_version, arm) for given in inputs)  # type: ignore[arg-type]
    return LoggedRequest(at, uuid4().hex, route, 200, milliseconds, None, None, answers)


def failed(at: datetime, status: int, problem: str, milliseconds: float = 2.0) -> LoggedRequest:
    """A request that was let in and answered with a problem."""
    return LoggedRequest(at, uuid4().hex, "/v1/predict", status, milliseconds, None, None, (), problem)


def write(database: Database, requests: Iterable[LoggedRequest], worker: str = "test:1", **counts: int) -> None:
    """Write requests to the log as a worker of role churn_api does, 500 at a time; `counts` go with the last batch."""
    waiting = list(requests)
    for start in range(0, max(len(waiting), 1), 500):
        batch = waiting[start : start + 500]
        told = counts if start + 500 >= len(waiting) else {}
        api_requests.write(database, Batch(uuid4(), worker, batch, **{"dropped_count": 0, **told}))


def durations(count: int, seed: int = 1, median: float = 4.0) -> list[float]:
    """Milliseconds as an endpoint takes them: many short, few long (log-normal)."""
    return list(np.exp(np.random.default_rng(seed).normal(np.log(median), 0.6, count)))
