"""A night in a process of its own, which is told where to stop, or to wait for a word."""

import os
import sys
from collections.abc import Mapping
from multiprocessing.synchronize import Event
from pathlib import Path

import mlflow  # noqa: F401  what a night imports late is imported for its forks here

from churn.core import engines, forest_kernels  # noqa: F401  the same
from churn.db import feature_stream
from churn.jobs import score_customers as night
from churn.services import Services
from churn.settings import Settings
from tests.faults.places import Place, stop_at

SMALL_BLOCK_BYTES = 1_024  # so that a few thousand customers come in several blocks


def score_a_night(environment: Mapping[str, str], log: Path, place: Place | None, word: Event | None) -> None:
    """Score the customers of the services that the environment names; all that it says goes to the log."""
    with log.open("wb", buffering=0) as output:
        os.dup2(output.fileno(), sys.stdout.fileno())
        os.dup2(output.fileno(), sys.stderr.fileno())
    os.environ.update(environment)
    feature_stream.BLOCK_BYTES = SMALL_BLOCK_BYTES
    services = Services.from_settings(Settings())
    if place:
        stop_at(place)
    if word:
        print("ready", flush=True)  # noqa: T201  whoever started this process reads it
        word.wait()
    run = night.score_customers(services)
    print(f"published run {run.scoring_run_id}", flush=True)  # noqa: T201
