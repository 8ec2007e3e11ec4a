"""The Production model of one worker: it follows the alias `production` and is swapped by one reference.

A worker loads its own model after the fork. When the registry is away, or the version that the alias names is
damaged, the model in use stays in use; `standing` says what the last look at the registry found.
"""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import SystemRandom
from typing import Literal

from churn.core.model import ChurnModel
from churn.errors import ArtifactRejected, ChurnError, NoProductionModel, RegistryUnavailable
from churn.records import ModelVersion
from churn.registry import Registry

SECONDS_BETWEEN_LOOKS = 5.0
JITTER = 0.2  # of the pause, either way, so that workers do not ask all at once
RETRY_REJECTED_SECONDS = 60.0

RegistryState = Literal[
    "not asked yet", "reachable", "no production model", "registry unavailable", "artifact rejected"
]
logger = logging.getLogger("churn_api.production")


@dataclass(frozen=True)
class Served:
    """The model in use."""

    model: ChurnModel
    version: int
    loaded_at: datetime


@dataclass(frozen=True)
class Standing:
    """What the last look at the registry found, and what to do where that is not a model."""

    state: RegistryState
    message: str
    next_step: str
    checked_at: datetime | None


_NOT_ASKED = Standing(
    "not asked yet", "The registry has not answered yet.", "Ask again in a few seconds.", checked_at=None
)


class ProductionModel:
    """Holds the model that the alias `production` names and keeps following it once `follow` was called.

    `served` and `standing` are read by request threads without a lock: each is a reference to a frozen value.
    """

    def __init__(self, registry: Registry, seconds_between_looks: float = SECONDS_BETWEEN_LOOKS) -> None:
        self.served: Served | None = None
        self.standing: Standing = _NOT_ASKED
        self._registry = registry
        self._pause = seconds_between_looks
        self._rejected: tuple[ModelVersion, float] | None = None
        self._looking = threading.Lock()
        self._looked = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="production-follower", daemon=True)

    def follow(self, wait_seconds: float = 0.0) -> None:
        """Start following; return after the first look, or after `wait_seconds` where the registry is slow.

        Call it once, in the process that answers requests: a thread does not survive a fork.
        """
        self._thread.start()
        self._looked.wait(wait_seconds)

    @property
    def is_followed(self) -> bool:
        """Whether a promotion would still be noticed."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop following; the model stays. Returns when a look that is under way has ended."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Ask the registry once and load the version that it names, unless that is the one in use."""
        with self._looking:
            try:
                version = self._registry.production_version()
                if self._should_load(version):
                    self._load(version)
            except NoProductionModel as error:
                self._note("no production model", error)
            except RegistryUnavailable as error:
                self._note("registry unavailable", error)

    def _should_load(self, version: ModelVersion) -> bool:
        if self.served is not None and self.served.version == version.version:
            self._rejected = None
            self._stand(Standing("reachable", "", "", datetime.now(UTC)))
            return False
        if self._rejected is not None and self._rejected[0] == version:
            return time.monotonic() >= self._rejected[1]
        return True

    def _load(self, version: ModelVersion) -> None:
        try:
            model = self._registry.load(version.version)
        except ArtifactRejected as error:
            self._rejected = (version, time.monotonic() + RETRY_REJECTED_SECONDS)
            self._note("artifact rejected", error)
            return
        self._rejected = None
        self.served = Served(model, version.version, datetime.now(UTC))
        self._stand(Standing("reachable", "", "", datetime.now(UTC)))
        logger.info("Model version %d answers from now on.", version.version)

    def _note(self, state: RegistryState, error: ChurnError) -> None:
        self._stand(Standing(state, error.message, error.next_step, datetime.now(UTC)))

    def _stand(self, standing: Standing) -> None:
        """Take a new standing, and log it when it is news."""
        changed = standing.state != self.standing.state
        self.standing = standing
        if changed and standing.state != "reachable":
            logger.warning("%s %s", standing.message, standing.next_step)

    def _follow(self) -> None:
        random = SystemRandom()
        while True:
            self.look()
            self._looked.set()
            if self._stopping.wait(self._pause * random.uniform(1 - JITTER, 1 + JITTER)):
                return
