"""The pieces of a bench, and how one is run: a fresh process under the launcher, its output in log files."""

import json
import logging
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churn.settings import PROJECT
from tests.benchmarks.results import Measurement
from tests.benchmarks.servers import Bench
from tests.benchmarks.told import last_told

log = logging.getLogger(__name__)

LAUNCHER = Path(__file__).with_name("launcher.py")
LONGEST_SECONDS = 3_600
UP_TO_A_MILLION = 1_000_000


class PieceFailed(Exception):
    """A measured process that did not end well."""


@dataclass(frozen=True)
class Piece:
    """One thing to measure: what people call it, how it is started, up to which size it is run.

    `table` is where a peer leaves its probabilities, in the schema `peers`.
    """

    name: str
    says: str
    command: tuple[str, ...]
    largest: int | None = None
    table: str | None = None

    def runs_at(self, size: int) -> bool:
        """Whether it is measured at this size."""
        return self.largest is None or size <= self.largest


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"tests.benchmarks.{name}", *arguments)


def _peer(name: str, says: str) -> Piece:
    return Piece(name, says, _module("peers", name), UP_TO_A_MILLION, name)


CHURN = str(Path(sys.executable).with_name("churn"))
OURS = Piece("ours", "churn: score_customers(services)", _module("ours"))
STREAM = Piece("stream", "churn, no reasons asked for", _module("ours"))
CLI = Piece("cli", "churn score run", (CHURN, "score", "run", "--json"))
PEERS = (
    _peer("chunks", "pandas in chunks of 50,000, pyfunc, to_sql"),
    _peer("whole", "pandas whole table, pyfunc, to_sql"),
    _peer("upsert", "pandas in chunks, pyfunc, COPY and INSERT ... ON CONFLICT"),
)
NIGHTS = (OURS, STREAM, CLI)
COMPARED = (OURS, PEERS[0], STREAM, CLI, *PEERS[1:])
DOOR = Piece("door", "churn: validate_customers(services)", _module("door", "ours"), UP_TO_A_MILLION)
DOOR_PEER = Piece("door peer", "pandas, GX pandas asset, to_sql", _module("door", "peer"), UP_TO_A_MILLION)
STAGES = tuple(Piece(name, name, _module("stages", name)) for name in ("read", "predict", "write", "checks"))
SAMPLE = Piece("sample", "the reference on 100,000 published rows", _module("parity"))


def run_piece(
    bench: Bench, database: str, piece: Piece, size: int, repetition: int
) -> tuple[Measurement, dict[str, Any]]:
    """Run one piece and return what it took and what it told. Raises PieceFailed with the end of its log."""
    name = f"{piece.name}-{size}-{repetition}"
    out, err = (bench.logs / f"{name}.{stream}" for stream in ("out", "err"))
    took = _launch(bench.environment(database), [str(out), str(err), *piece.command])
    if took["exit_code"]:
        raise PieceFailed(f"{name} ended with {took['exit_code']:.0f}: {err.read_text('utf-8', 'replace')[-2_000:]}")
    told = _told(piece, out.read_text("utf-8"))
    measured = Measurement(
        size=size,
        piece=piece.name,
        repetition=repetition,
        seconds=told.get("seconds"),
        process_seconds=took["process_seconds"],
        peak_mb=told.get("worker_mb", took["peak_mb"]),
        children_mb=told.get("children_mb", 0.0),
        cpu_seconds=took["cpu_seconds"],
        steps=told.get("steps", {}),
        stages=told.get("stages", {}),
    )
    log.info("%s", _line(measured))
    return measured, told


def _launch(environment: dict[str, str], arguments: list[str]) -> dict[str, float]:
    """Run the launcher; whatever happens here, it and what it started end with it."""
    launcher = subprocess.Popen(
        [sys.executable, "-I", str(LAUNCHER), *arguments],
        env=environment, cwd=PROJECT, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        answer, _ = launcher.communicate(timeout=LONGEST_SECONDS)
    except BaseException:
        os.killpg(launcher.pid, signal.SIGKILL)
        launcher.wait()
        raise
    return dict(json.loads(answer))


def _told(piece: Piece, text: str) -> dict[str, Any]:
    """What the process said at its end: our own modules in one line, the CLI in a list of one run."""
    if piece is not CLI:
        return last_told(text)
    (run,) = json.loads(text)
    return {"rows": run["scored"], "scoring_run_id": run["scoring_run_id"]}


def _line(measured: Measurement) -> str:
    inner = "" if measured.seconds is None else f"{measured.seconds:.2f} s, "
    return (
        f"{measured.size:,} rows, {measured.piece}, repetition {measured.repetition}: {inner}"
        f"{measured.process_seconds:.2f} s with start-up, {measured.peak_mb:.0f} MB"
    )
