"""The product's night as a process of its own: `python -m tests.benchmarks.ours`.

Ready means, as for the peers: everything is imported and the model is loaded, its compiled engine included. What
follows is the whole job, from opening the run to publishing it, checks included.
"""

import dataclasses
from typing import Any

from churn.core.engines import Engine
from churn.core.model import ChurnModel
from churn.jobs import score_customers as job
from churn.jobs.choose_engine import choose_engine
from churn.process import tune_for_one_job
from churn.registry import Registry
from churn.services import Services
from churn.settings import Settings
from tests.benchmarks.told import Clock, timed_steps


class LoadedRegistry:
    """A registry that gives a model it has loaded before, as a process would that has scored before."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._models: dict[int, ChurnModel] = {}

    def load(self, number: int, expected_digest: str | None = None) -> ChurnModel:
        if number not in self._models:
            self._models[number] = self._registry.load(number, expected_digest)
        return self._models[number]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)


def ready_services() -> tuple[Services, Engine]:
    """The services of this process's environment with the Production model loaded, and the engine that asks it."""
    opened = Services.from_settings(Settings())
    services = dataclasses.replace(opened, registry=LoadedRegistry(opened.registry))  # type: ignore[arg-type]
    production = services.registry.production_version()
    model = services.registry.load(production.version, production.digest)
    return services, choose_engine(services, production.version, production.digest, model)


def main() -> None:
    """Score once and tell what each step of the job took."""
    tune_for_one_job()  # as `churn` does
    services = ready_services()[0]
    clock = Clock()
    with timed_steps(job, but="score_customers") as steps:
        run = job.score_customers(services)
    clock.tell(run.scored_count or 0, scoring_run_id=run.scoring_run_id, steps=steps)


if __name__ == "__main__":
    main()
