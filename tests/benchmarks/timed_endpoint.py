"""`gunicorn --config python:tests.benchmarks.timed_endpoint`: the API as the project configures it, with a clock.

The endpoint's own functions are timed where they are looked up; nothing in the product knows of it.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from runpy import run_path
from typing import Any

from gunicorn.config import KNOWN_SETTINGS

from churn.settings import PROJECT
from tests.benchmarks import endpoint_stages as stages
from tests.benchmarks.endpoint_stages import StageClock

CONFIGURATION = run_path(str(PROJECT / "api" / "gunicorn.conf.py"))
globals().update({each.name: CONFIGURATION[each.name] for each in KNOWN_SETTINGS if each.name in CONFIGURATION})

clock = StageClock()


def post_worker_init(worker: Any) -> None:
    """Put the clock around everything, once the worker has its app."""
    CONFIGURATION["post_worker_init"](worker)
    _time_worker(worker)
    _time_steps()
    _time_app(worker.wsgi)


def _time_worker(worker: Any) -> None:
    from churn_api import worker as module

    module._peek_short_request = clock.stage(stages.FIND, module._peek_short_request)
    module._send = clock.stage(stages.WRITE, module._send)
    answer = clock.stage(stages.LOOP, worker._answer_short_requests)

    def answer_and_end(found: Any) -> None:
        answer(found)
        clock.end(len(found))

    worker._answer_short_requests = answer_and_end


def _time_steps() -> None:
    from churn.core.features import FeatureEncoder
    from churn_api import at_once, metrics, request_log, scoring

    for owner, name, stage in (
        (at_once, "parse_json", stages.BODY), (at_once, "customer_of", stages.BODY),
        (at_once.AtOnce, "_body", stages.JSON), (at_once.AtOnce, "_note", stages.KEEP),
        (request_log, "request_id", stages.IDENTITY), (request_log, "write_line", stages.LINE),
        (metrics, "count", stages.METRICS), (FeatureEncoder, "encode_records", stages.ENCODE),
        (scoring, "reasons_of_one", stages.WORDS), (scoring.Scorer, "score_each", stages.REST),
    ):  # fmt: skip
        setattr(owner, name, clock.stage(stage, getattr(owner, name)))


def _time_app(app: Any) -> None:
    door, production = app.extensions["door"], app.extensions["production"]
    door.holder_of = clock.stage(stages.KEY, door.holder_of)
    door.has_room = clock.stage(stages.KEY, door.has_room)
    served = production.served
    engine, explainer = served.engine, served.explainer
    production.served = replace(
        served,
        engine=replace(engine, probabilities=clock.stage(stages.SCORE, engine.probabilities)),
        explainer=replace(
            explainer,
            of_one=clock.stage(stages.EXPLAIN, explainer.of_one),
            contributions=clock.stage(stages.EXPLAIN, explainer.contributions),
        ),
    )


def worker_exit(server: Any, worker: Any) -> None:
    """Leave what was found, then end as the project's configuration says."""
    found = {"count": clock.count, "seconds": clock.seconds}
    (Path(os.environ[stages.FOLDER]) / f"{worker.pid}.json").write_text(json.dumps(found), "utf-8")
    CONFIGURATION["worker_exit"](server, worker)
