"""What a retraining writes to MLflow: one run, and below it one for each candidate."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from churn.mlflow_server import answer_quickly, asking, client_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

EXPERIMENT = "churn"
LARGEST_BATCH = 800  # MLflow takes 1,000 metrics, parameters and tags in one request
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Run:
    """One run of the experiment. As a context manager it is finished, or failed by an exception, at the end.

    Every method raises RegistryUnavailable where the server cannot be reached or refuses.
    """

    tracking_uri: str
    run_id: str

    def log(
        self,
        parameters: Mapping[str, object] = NOTHING,
        metrics: Mapping[str, float] = NOTHING,
        series: Mapping[str, Sequence[float]] = NOTHING,
        tags: Mapping[str, str] = NOTHING,
    ) -> None:
        """Record what the run was given, what it measured, and facts to search by: one request for all of them.

        `series` are measures of several folds, the first at step 0.
        """
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        steps = [(name, value, 0) for name, value in metrics.items()]
        steps += [(name, value, step) for name, values in series.items() for step, value in enumerate(values)]
        measured = [Metric(name, float(value), now, step) for name, value, step in steps]
        with asking(self.tracking_uri):
            client = client_of(self.tracking_uri)
            while len(measured) > LARGEST_BATCH:
                client.log_batch(self.run_id, measured[:LARGEST_BATCH])
                measured = measured[LARGEST_BATCH:]
            given = [Param(name, str(value)) for name, value in parameters.items()]
            client.log_batch(self.run_id, measured, given, [RunTag(name, value) for name, value in tags.items()])

    def log_dataset(self, name: str, fingerprint: str, source: str, row_count: int, context: str) -> None:
        """Record which rows were used: `fingerprint` as training.fingerprint, `context` such as training."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        used = Dataset(
            name=name,
            digest=fingerprint[:36],  # MLflow keeps no more
            source_type="extract",
            source=json.dumps({"extract": source}),
            profile=json.dumps({"num_rows": row_count, "fingerprint": fingerprint}),
        )
        with asking(self.tracking_uri):
            tags = [InputTag("mlflow.data.context", context)]
            client_of(self.tracking_uri).log_inputs(self.run_id, [DatasetInput(used, tags)])

    def log_figure(self, figure: "Figure", path: str) -> None:
        """Store a figure (core.plots) as an image at this path of the run's artifacts, e.g. plots/roc.png."""
        with asking(self.tracking_uri):
            client_of(self.tracking_uri).log_figure(self.run_id, figure, path)

    def log_table(self, table: "pd.DataFrame", path: str) -> None:
        """Store a table that MLflow's page shows, at a path that ends in .json."""
        with asking(self.tracking_uri):
            client_of(self.tracking_uri).log_table(self.run_id, table, path)

    def log_text(self, text: str, path: str) -> None:
        """Store a text, such as a decision as JSON."""
        with asking(self.tracking_uri):
            client_of(self.tracking_uri).log_text(self.run_id, text, path)

    def finish(self, succeeded: bool = True) -> None:
        """Close the run as FINISHED or FAILED."""
        with asking(self.tracking_uri):
            status = "FINISHED" if succeeded else "FAILED"
            client_of(self.tracking_uri).set_terminated(self.run_id, status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(succeeded=kind is None)


class Tracking:
    """Runs of the experiment `churn` on one MLflow server, each known by its id, so tasks can share one."""

    def __init__(self, tracking_uri: str) -> None:
        answer_quickly()
        self.tracking_uri = tracking_uri

    def start_run(self, name: str, tags: Mapping[str, str] | None = None, parent_run_id: str | None = None) -> Run:
        """Open a run; under `parent_run_id` MLflow shows it nested. Raises RegistryUnavailable."""
        nested = {"mlflow.parentRunId": parent_run_id} if parent_run_id else {}
        with asking(self.tracking_uri):
            client = client_of(self.tracking_uri)
            run = client.create_run(self._experiment_id, tags={**(tags or {}), **nested}, run_name=name)
        return Run(self.tracking_uri, run.info.run_id)

    def run(self, run_id: str) -> Run:
        """A run that is there already, to go on with in another task."""
        return Run(self.tracking_uri, run_id)

    @cached_property
    def _experiment_id(self) -> str:
        from mlflow.exceptions import MlflowException

        client = client_of(self.tracking_uri)
        try:
            return str(client.create_experiment(EXPERIMENT))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(client.get_experiment_by_name(EXPERIMENT).experiment_id)
