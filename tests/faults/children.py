"""Nights in processes of their own, which are stopped, woken and killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from churn.services import Services
from churn.settings import PROJECT
from tests.faults.night import PLACE, WAIT_FOR_GO
from tests.faults.places import Place

PATIENCE_SECONDS = 120.0


def wait_until(condition: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for a condition; fail, saying for what, when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.02)


@dataclass(frozen=True)
class Child:
    """A night in a process of its own; `log` has all that it said."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def wait_until_stopped(self) -> None:
        wait_until(lambda: self._ended() or self._status() == psutil.STATUS_STOPPED, "the night stops at its place")
        assert not self._ended(), f"the night never came to its place:\n{self.said()}"

    def wait_until_ready(self) -> None:
        wait_until(lambda: self._ended() or "ready" in self.said(), "the night is ready to go")

    def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(PATIENCE_SECONDS) == -signal.SIGKILL

    def wait(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def said(self) -> str:
        return self.log.read_text("utf-8")

    def _ended(self) -> bool:
        return self.process.poll() is not None

    def _status(self) -> str:
        return psutil.Process(self.process.pid).status()


def start_night(
    services: Services,
    log: Path,
    place: Place | None = None,
    policy_file: Path | None = None,
    wait_for_go: bool = False,
) -> Child:
    """Start the night on these services in another process, which stops itself at a place or waits for a word."""
    environment = {
        "CHURN_DATABASE_URL": services.database.url,
        "MLFLOW_TRACKING_URI": services.registry.tracking_uri,
        "CHURN_REPORTS_DIR": services.reports.url,
        "CHURN_POLICY_FILE": str(policy_file or ""),
        PLACE: json.dumps(asdict(place)) if place else "",
        WAIT_FOR_GO: "yes" if wait_for_go else "",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.night"],
            env=os.environ | environment,
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )
    return Child(process, log)
