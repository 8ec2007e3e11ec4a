"""A night in a process of its own: `python -m tests.faults.night`, told by its environment where to stop."""

import json
import os
import sys

from churn.db import feature_stream
from churn.jobs import score_customers as night
from churn.services import Services
from churn.settings import Settings
from tests.faults.places import Place, stop_at

PLACE, WAIT_FOR_GO = "FAULTS_PLACE", "FAULTS_WAIT_FOR_GO"
SMALL_BLOCK_BYTES = 1_024  # so that a few thousand customers come in several blocks


def main() -> None:
    feature_stream.BLOCK_BYTES = SMALL_BLOCK_BYTES
    services = Services.from_settings(Settings())
    if os.environ.get(PLACE):
        stop_at(Place(**json.loads(os.environ[PLACE])))
    if os.environ.get(WAIT_FOR_GO):
        print("ready", flush=True)  # noqa: T201  whoever started this process reads it
        sys.stdin.readline()
    run = night.score_customers(services)
    print(f"published run {run.scoring_run_id}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
