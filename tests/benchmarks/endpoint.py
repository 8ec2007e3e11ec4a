"""The endpoint under load, beside `mlflow models serve`: the same model, the same rows, the same machine, in one run.

Both are running all the time and take turns; who is not asked is idle. Ours is as it is deployed: gunicorn with the
project's configuration, a key, the request log into PostgreSQL. Load comes from another process (load.py).
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from churn.columns import FEATURES
from churn.core.candidates import CANDIDATES
from churn.db.database import Database
from churn.jobs.issue_api_key import issue_api_key
from churn.platform.ports import LOOPBACK
from churn.platform.postgres import EmbeddedPostgres
from churn.registry import Registry
from churn.settings import PROJECT
from churn.simulator import simulate
from tests.benchmarks.endpoint_modes import (
    CALLER,
    CONNECTIONS,
    FIXED,
    LONE,
    OURS,
    PEER,
    RATE,
    SATURATED,
    SECONDS,
    WORKERS,
)
from tests.benchmarks.endpoint_stages import FOLDER, milliseconds_of
from tests.benchmarks.preparation import PRODUCTION_KIND, empty_copy
from tests.benchmarks.results import Check, LoadRun, Results
from tests.benchmarks.servers import Bench
from tests.server import Server, random_free_port

log = logging.getLogger(__name__)

ROW_COUNT, ROW_SEED = 1_000, 11
WARM_SECONDS = 3.0
ENOUGH = 10_000_000  # requests a minute: the key's limit is not what is measured


@dataclass(frozen=True)
class Asked:
    """A server that is measured: where it is, what is sent to it and what it must answer."""

    name: str
    port: int
    path: str
    headers: dict[str, str]
    bodies: list[str]
    expected: list[float]
    version: int | None
    process: psutil.Process


def measure_endpoint(bench: Bench, versions: dict[str, int], repeat: int, results: Results) -> None:
    """Measure everything about one request; `versions` are the registered models by kind."""
    with empty_copy(bench) as database:
        measuring = _Measuring(bench, database, versions[PRODUCTION_KIND], results)
        with measuring.endpoint() as ours, measuring.peer() as peer:
            for asked in (ours, peer):
                measuring.load(asked, CONNECTIONS, None, WARM_SECONDS)  # what is compiled or cached at first
            for repetition in range(1, repeat + 1):
                measuring.round(ours, peer, repetition)
        measuring.other_models({kind: versions[kind] for kind in CANDIDATES if kind != PRODUCTION_KIND})
        for mode in (LONE, FIXED):
            results.milliseconds[mode] = measuring.stages(mode)
        results.checks.append(_check_log(bench, database, measuring.answered_count))


class _Measuring:
    """One database, one key and one set of rows, asked about again and again; counts what the endpoint answered."""

    def __init__(self, bench: Bench, database: str, version: int, results: Results) -> None:
        self._bench, self._database, self._version, self._results = bench, database, version, results
        self._registry = Registry(bench.tracking_uri)
        pipeline = Database(bench.url(database))
        self._key = issue_api_key(pipeline, "bench", ["predict"], requests_per_minute=ENOUGH).text
        self._columns, self._records = _draw()
        self.answered_count = 0

    def round(self, ours: Asked, peer: Asked, repetition: int) -> None:
        """Everything once; who begins changes."""
        self._measure(ours, FIXED, repetition)
        for mode in (SATURATED, LONE):
            for asked in (ours, peer) if repetition % 2 else (peer, ours):
                self._measure(asked, mode, repetition)

    def other_models(self, versions: dict[str, int]) -> None:
        """Lone requests to the models of the other kinds; the one that was Production is so again afterwards."""
        for version in versions.values():
            self._registry.promote(version)
            with self.endpoint(version) as ours:
                self.load(ours, 1, None, 1.0)
                self._measure(ours, LONE, 1)
        self._registry.promote(self._version)

    def stages(self, mode: str) -> dict[str, float]:
        """Where the milliseconds go, in a server of its own: the clock costs some time itself."""
        connections, rate = _shape(mode)
        with tempfile.TemporaryDirectory(dir=self._bench.folder) as name:
            with self.endpoint(timed=Path(name)) as ours:
                told = self.load(ours, connections, rate, SECONDS[mode])
            return milliseconds_of(Path(name)) | {CALLER: told["milliseconds"]["mean"]}

    def _measure(self, asked: Asked, mode: str, repetition: int) -> None:
        connections, rate = _shape(mode)
        roots = (asked.process, self._postmaster())
        before = [_cpu_seconds(root) for root in roots]
        told = self.load(asked, connections, rate, SECONDS[mode])
        server, postgres = (_cpu_seconds(root) - was for root, was in zip(roots, before, strict=True))
        run = LoadRun(
            piece=asked.name, mode=mode, repetition=repetition, connections=connections, rate=rate,
            cpu={"caller": told.pop("cpu_seconds"), "server": server, "PostgreSQL": postgres}, **told,
        )  # fmt: skip
        log.info("%s, %s: %s", asked.name, mode, told)
        self._results.loads.append(run)
        wrong = ", ".join(f"{count} x {what}" for what, count in run.errors.items())
        said = wrong or f"{run.answered:,} answers are the model's own"
        self._results.checks.append(Check(0, f"{asked.name}, {mode}", not wrong and run.answered > 0, said))

    def load(self, asked: Asked, connections: int, rate: float | None, seconds: float) -> dict[str, Any]:
        """One job of load.py in a process of its own."""
        job = {
            "address": [LOOPBACK, asked.port], "path": asked.path, "headers": asked.headers, "bodies": asked.bodies,
            "expected": asked.expected, "version": asked.version, "connections": connections, "rate": rate,
            "seconds": seconds,
        }  # fmt: skip
        with tempfile.NamedTemporaryFile("w", suffix=".json", dir=self._bench.folder) as written:
            json.dump(job, written)
            written.flush()
            command = [sys.executable, "-m", "tests.benchmarks.load", written.name]
            done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True)
        told = dict(json.loads(done.stdout))
        self.answered_count += told["answered"] if asked.name != PEER else 0
        return told

    @contextmanager
    def endpoint(self, version: int | None = None, timed: Path | None = None) -> Iterator[Asked]:
        """The API under gunicorn, each worker with the version; `timed` is the folder for the times of stages."""
        port, version = random_free_port(), version or self._version
        written = self._bench.logs / f"endpoint-{port}.log"
        configuration = "api/gunicorn.conf.py" if timed is None else "python:tests.benchmarks.timed_endpoint"
        command = [sys.executable, "-m", "gunicorn", "--config", configuration]
        server = Server(command, f"http://{LOOPBACK}:{port}", written, self._environment(port, timed))
        try:
            process = _started(server)
            while written.read_text("utf-8").count("answers from now on") < WORKERS:
                time.sleep(0.2)
            kind = self._registry.version(version).tags["kind"]
            yield Asked(
                OURS if version == self._version else f"{OURS}, {kind}", port, "/v1/predict",
                {"Authorization": f"Bearer {self._key}"}, [json.dumps(record) for record in self._records],
                self._expected(version), version, process,
            )  # fmt: skip
        finally:
            server.stop()

    def _environment(self, port: int, timed: Path | None) -> dict[str, str]:
        environment = self._bench.environment(self._database)
        del environment["CHURN_POLICY_FILE"]  # that of the nights; here the project's own decisions hold
        environment |= {
            "CHURN_API_BIND": f"{LOOPBACK}:{port}",
            "CHURN_API_WORKERS": str(WORKERS),
            "CHURN_API_DATABASE_URL": self._bench.url(self._database, "churn_api"),
        }
        return environment if timed is None else environment | {FOLDER: str(timed), "PYTHONPATH": str(PROJECT)}

    @contextmanager
    def peer(self) -> Iterator[Asked]:
        """MLflow's own server of models, with as many workers."""
        port = random_free_port()
        command = [
            sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/churn@production",
            "--env-manager", "local", "--host", LOOPBACK, "--port", str(port), "--workers", str(WORKERS),
        ]  # fmt: skip
        written = self._bench.logs / "mlflow-models-serve.log"
        environment = self._bench.environment("postgres")
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"  # it starts uvicorn
        server = Server(command, f"http://{LOOPBACK}:{port}", written, environment)
        bodies = [
            json.dumps({"dataframe_split": {"columns": self._columns, "data": [list(record.values())]}})
            for record in self._records
        ]
        try:
            process = _started(server, "/ping")
            yield Asked(PEER, port, "/invocations", {}, bodies, self._expected(self._version), None, process)
        finally:
            server.stop()

    def _expected(self, version: int) -> list[float]:
        """What the registered model itself says of each row."""
        model = self._registry.load(version)
        return [float(each) for each in model.probabilities(model.encoder.encode_records(self._records))]

    def _postmaster(self) -> psutil.Process:
        data = EmbeddedPostgres.under(self._bench.folder).data
        return psutil.Process(int((data / "postmaster.pid").read_text().partition("\n")[0]))


def _draw() -> tuple[list[str], list[dict[str, Any]]]:
    """The names of the features, and simulated customers as JSON records."""
    frame = pd.concat(list(simulate(ROW_COUNT, ROW_SEED)), ignore_index=True)
    return [column.name for column in FEATURES], [_record(row) for row in frame.to_dict("records")]


def _record(row: dict[str, Any]) -> dict[str, Any]:
    """A row of an extract, which is text, with its numbers as JSON has them; blank is null."""
    read = {"integer": int, "amount": float}
    return {
        column.name: read.get(column.kind, str)(cell) if (cell := str(row[column.name]).strip()) else None
        for column in FEATURES
    }


def _shape(mode: str) -> tuple[int, float | None]:
    """The connections of a load and its rate."""
    return (1 if mode == LONE else CONNECTIONS), (RATE if mode == FIXED else None)


def _started(server: Server, path: str = "/health") -> psutil.Process:
    server.start(path, seconds=180)
    assert server.process is not None
    return psutil.Process(server.process.pid)


def _check_log(bench: Bench, database: str, answered_count: int) -> Check:
    """Every answer is a row of the request log, or was counted as dropped."""
    with bench.admin(database) as admin:
        row = admin.execute(
            "SELECT (SELECT count(DISTINCT request_id) FROM churn.api_requests), sum(row_count), sum(dropped_count)"
            " FROM churn.api_log_batches"
        ).fetchone()
    assert row is not None
    kept, written, dropped = (int(str(value)) for value in row)
    told = f"{answered_count:,} answers, {kept:,} of them in the request log, {dropped:,} counted as dropped"
    return Check(0, "request log", kept == written and kept + dropped == answered_count, told)


def _cpu_seconds(root: psutil.Process) -> float:
    """CPU time of a process and of everything that it started, ended ones included."""
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # its time is its parent's by now
        total += times.user + times.system + times.children_user + times.children_system
    return total
