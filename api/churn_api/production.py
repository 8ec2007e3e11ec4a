"""The model of one worker: it follows an alias of the registry and is swapped by one reference.

A worker loads its own model after the fork. When the registry is away, or the version that the alias names is
damaged or fails its smoke test, the model in use stays in use; `standing` says what the last look at the registry
found.
"""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from churn.errors import ArtifactRejected, ChurnError, NoProductionModel, RegistryUnavailable
from churn.records import ModelVersion
from churn.registry import PRODUCTION_ALIAS, Registry
from churn_api.following import Follower
from churn_api.metrics import model_is_used
from churn_api.served import Served, prepare

__all__ = ["FollowedModel", "Served", "Standing"]

SECONDS_BETWEEN_LOOKS = 2.0  # until a promotion is seen; the model is then loaded
RETRY_REJECTED_SECONDS = 60.0

RegistryState = Literal[
    "not asked yet",
    "reachable",
    "no production model",
    "no staging model",
    "registry unavailable",
    "artifact rejected",
]
logger = logging.getLogger("churn_api.production")


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


class FollowedModel(Follower):
    """Holds the model that an alias names and keeps following it once `follow` was called.

    `served` and `standing` are read by request threads without a lock: each is a reference to a frozen value.
    Where nothing carries `production` any more the model in use stays; a challenger that is no longer in `staging`
    is let go.
    """

    def __init__(
        self,
        registry: Registry,
        alias: str = PRODUCTION_ALIAS,
        seconds_between_looks: float = SECONDS_BETWEEN_LOOKS,
    ) -> None:
        super().__init__(alias, seconds_between_looks)
        self.served: Served | None = None
        self.standing: Standing = _NOT_ASKED
        self.alias = alias
        self._registry = registry
        self._rejected: tuple[ModelVersion, float] | None = None
        self._looking = threading.Lock()

    def look(self) -> None:
        """Ask the registry once and load the version that it names, unless that is the one in use."""
        with self._looking:
            try:
                version = self._named()
                if version is None:
                    self._let_go()
                elif self._should_load(version):
                    self._load(version)
            except NoProductionModel as error:
                self._note("no production model", error)
            except RegistryUnavailable as error:
                self._note("registry unavailable", error)

    def _named(self) -> ModelVersion | None:
        if self.alias == PRODUCTION_ALIAS:
            return self._registry.production_version()
        return self._registry.staging_version()

    def _let_go(self) -> None:
        self.served, self._rejected = None, None
        model_is_used(self.alias, None)
        self._stand(Standing("no staging model", "", "", datetime.now(UTC)))

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
            served = prepare(self._registry, version)
        except ArtifactRejected as error:
            self._rejected = (version, time.monotonic() + RETRY_REJECTED_SECONDS)
            self._note("artifact rejected", error)
            return
        self._rejected = None
        self.served = served
        model_is_used(self.alias, served.version)
        self._stand(Standing("reachable", "", "", datetime.now(UTC)))
        role = "answers from now on" if self.alias == PRODUCTION_ALIAS else "is the challenger from now on"
        logger.info("Model version %d %s.", version.version, role)

    def _note(self, state: RegistryState, error: ChurnError) -> None:
        self._stand(Standing(state, error.message, error.next_step, datetime.now(UTC)))

    def _stand(self, standing: Standing) -> None:
        """Take a new standing, and log it when it is news."""
        changed = standing.state != self.standing.state
        self.standing = standing
        if changed and standing.message:
            logger.warning("%s %s", standing.message, standing.next_step)
