"""`gunicorn --config python:tests.api.broken_model`: the API as configured, with a model that fails in its worker."""

from dataclasses import replace
from runpy import run_path
from typing import Any

from gunicorn.config import KNOWN_SETTINGS

from churn.core.features import Matrix
from churn.settings import PROJECT

CONFIGURATION = run_path(str(PROJECT / "api" / "gunicorn.conf.py"))
globals().update({each.name: CONFIGURATION[each.name] for each in KNOWN_SETTINGS if each.name in CONFIGURATION})


def post_worker_init(worker: Any) -> None:
    """Break the model, once the worker has it."""
    CONFIGURATION["post_worker_init"](worker)
    production = worker.wsgi.extensions["production"]
    engine = replace(production.served.engine, probabilities=_fail)
    production.served = replace(production.served, engine=engine)


def _fail(matrix: Matrix) -> None:
    raise RuntimeError(f"no answer for {len(matrix)} customers")
