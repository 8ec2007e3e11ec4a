"""Nights in processes of their own, which are stopped, woken and killed.

Each is forked from a server that has imported once what a night needs: a real process that gets real signals, without
the seconds of its imports.
"""

import atexit
import multiprocessing
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import psutil

from churn.services import Services
from tests.faults.night import score_a_night
from tests.faults.places import Place

PATIENCE_SECONDS = 120.0
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([score_a_night.__module__])


@atexit.register
def _end_what_a_failed_test_left() -> None:
    """Or the end of the tests would wait for a night that was stopped."""
    for process in multiprocessing.active_children():
        process.kill()


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

    process: BaseProcess
    log: Path
    word: Event | None

    def wait_until_stopped(self) -> None:
        wait_until(lambda: self._ended() or self._status() == psutil.STATUS_STOPPED, "the night stops at its place")
        assert not self._ended(), f"the night never came to its place:\n{self.said()}"

    def wait_until_ready(self) -> None:
        wait_until(lambda: self._ended() or "ready" in self.said(), "the night is ready to go")

    def go(self) -> None:
        assert self.word
        self.word.set()

    def wake(self) -> None:
        psutil.Process(self.process.pid).resume()

    def kill(self) -> None:
        self.process.kill()
        assert self.wait() == -signal.SIGKILL

    def wait(self) -> int:
        self.process.join(PATIENCE_SECONDS)
        assert self.process.exitcode is not None, f"the night does not end:\n{self.said()}"
        return self.process.exitcode

    def said(self) -> str:
        return self.log.read_text("utf-8") if self.log.exists() else ""

    def _ended(self) -> bool:
        return self.process.exitcode is not None

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
    }
    word = _FORKS.Event() if wait_for_go else None
    process = _FORKS.Process(target=score_a_night, args=(environment, log, place, word))
    process.start()
    return Child(process, log, word)
