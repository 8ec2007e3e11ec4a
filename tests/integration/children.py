"""Jobs in processes of their own, which are killed.

Each is forked from a server that has imported Great Expectations once: a real process that gets a real SIGKILL,
without the seconds of its imports.
"""

import multiprocessing
import os
import pkgutil
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

import great_expectations.core.run_identifier  # noqa: F401  imported for the forks

from churn.jobs.validate_customers import validate_customers
from churn.services import Services
from churn.settings import Settings

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


def start(job: Callable[..., object], services: Services, *arguments: Any) -> BaseProcess:
    """Start a job, which is given these services opened anew by its own process."""
    environment = {
        "CHURN_DATABASE_URL": services.database.url,
        "CHURN_LANDING_URL": services.landing.url,
        "CHURN_REPORTS_DIR": services.reports.url,
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
    }
    process = _FORKS.Process(target=_run, args=(environment, job, arguments))
    process.start()
    return process


def _run(environment: dict[str, str], job: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    os.environ.update(environment)
    job(Services.from_settings(Settings()), *arguments)


def validate_until(services: Services, step: str) -> None:
    """Validate, and be killed before a step, the full name of a function."""
    module, _, name = step.rpartition(".")
    setattr(pkgutil.resolve_name(module), name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    validate_customers(services)
