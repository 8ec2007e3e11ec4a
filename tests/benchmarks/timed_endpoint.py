"""`gunicorn --config python:tests.benchmarks.timed_endpoint`: the API as the project configures it, with a clock.

The endpoint's own functions are timed where they are looked up; nothing in the product knows of it.
"""

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from runpy import run_path
from typing import Any

from gunicorn.config import KNOWN_SETTINGS

from churn.settings import PROJECT
from tests.benchmarks.endpoint_stages import (
    BODY,
    ENCODE,
    EXPLAIN,
    FLASK,
    FOLDER,
    IDENTITY,
    JSON,
    KEEP,
    KEY,
    LINE,
    METRICS,
    READ,
    REST,
    SCORE,
    WAIT,
    WORDS,
    WRITE,
    StageClock,
)

CONFIGURATION = run_path(str(PROJECT / "api" / "gunicorn.conf.py"))
globals().update({each.name: CONFIGURATION[each.name] for each in KNOWN_SETTINGS if each.name in CONFIGURATION})

clock = StageClock()


def post_worker_init(worker: Any) -> None:
    """Put the clock around everything, once the worker has its app."""
    CONFIGURATION["post_worker_init"](worker)
    _time_worker(worker)
    app = worker.wsgi
    _time_functions()
    _time_hooks(app)
    app.wsgi_app = clock.stage(FLASK, app.wsgi_app)
    app.make_response = clock.stage(JSON, app.make_response)
    production = app.extensions["production"]
    served = production.served
    production.served = replace(
        served,
        engine=replace(served.engine, probabilities=clock.stage(SCORE, served.engine.probabilities)),
        explainer=replace(served.explainer, of_one=clock.stage(EXPLAIN, served.explainer.of_one)),
    )


def _time_worker(worker: Any) -> None:
    enqueue, handle = worker.enqueue_req, clock.stage(READ, worker.handle)
    came: dict[Any, float] = {}

    def enqueue_req(conn: Any) -> None:
        came[conn] = time.perf_counter()
        enqueue(conn)

    def timed_handle(conn: Any) -> Any:
        now, is_first = time.perf_counter(), not conn.initialized
        waited = now - came.pop(conn, now)  # the loop answers what is short itself
        clock.begin()
        clock.add(WAIT, waited)
        try:
            return handle(conn)
        finally:
            if not is_first:  # the first waits for its caller
                clock.end()

    worker.enqueue_req, worker.handle = enqueue_req, timed_handle
    worker.handle_request = clock.stage(WRITE, worker.handle_request)


def _time_functions() -> None:
    from churn.core.features import FeatureEncoder
    from churn_api import predict, scoring

    predict.read_one_customer = clock.stage(BODY, predict.read_one_customer)
    predict.score = clock.stage(REST, predict.score)
    scoring.reasons_of_one = clock.stage(WORDS, scoring.reasons_of_one)
    FeatureEncoder.encode_records = clock.stage(ENCODE, FeatureEncoder.encode_records)  # type: ignore[method-assign]


def _time_hooks(app: Any) -> None:
    """What runs before and after each view; a hook without a stage of its own would hide in Flask's."""
    stages = {"_let_in": KEY, "_begin": IDENTITY, "_keep": KEEP, "_count": METRICS, "_end": LINE, "_charge": KEY}
    for hooks in (app.before_request_funcs[None], app.after_request_funcs[None]):
        hooks[:] = [clock.stage(stages[hook.__name__], hook) for hook in hooks]


def worker_exit(server: Any, worker: Any) -> None:
    """Leave what was found, then end as the project's configuration says."""
    found = {"count": clock.count, "seconds": clock.seconds}
    (Path(os.environ[FOLDER]) / f"{worker.pid}.json").write_text(json.dumps(found), "utf-8")
    CONFIGURATION["worker_exit"](server, worker)
