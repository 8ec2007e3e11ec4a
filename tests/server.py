"""A process that answers HTTP: started, waited for, stopped with its children."""

import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import requests

from churn.platform.ports import free_port
from churn.settings import PROJECT


def random_free_port() -> int:
    """A free port of loopback, at random: what runs side by side does not choose the same; below those of clients."""
    return free_port(random.randrange(20_000, 30_000))


@dataclass
class Server:
    """A process of its own session that answers HTTP at `url`; it can be stopped and started again."""

    command: list[str]
    url: str
    log: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self, path: str = "/health", seconds: float = 90) -> "Server":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=PROJECT,
            )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if requests.get(self.url + path, timeout=2).ok:
                    return self
            except requests.RequestException:  # not listening yet, or workers still importing
                time.sleep(0.2)
        self.stop()
        raise AssertionError(f"{self.command} did not answer:\n{self.log.read_text('utf-8')[-3000:]}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is None:
            return
        with_its_children = self.process.pid  # the leader of its own session
        try:
            os.killpg(with_its_children, how)
            self.process.wait(30)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(with_its_children, signal.SIGKILL)
            self.process.wait()
        self.process = None
