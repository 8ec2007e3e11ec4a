"""What the last night left for the API: one look at the database every few seconds, never one for a prediction."""

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from churn.db import serving
from churn.db.database import Database
from churn.db.migrations import require_current_schema
from churn.db.serving import PublishedRun
from churn.errors import ChurnError, DatabaseUnavailable, SchemaBehind
from churn_api.following import SECONDS_BETWEEN_LOOKS, Follower

DatabaseState = Literal["not asked yet", "not configured", "reachable", "database unavailable", "schema behind"]
logger = logging.getLogger("churn_api.night")


@dataclass(frozen=True)
class DatabaseStanding:
    """What the last look at the database found."""

    state: DatabaseState
    message: str = ""
    next_step: str = ""
    checked_at: datetime | None = None


class Night(Follower):
    """Follows the published run. Without a database, or when it is away, the run that is known stays known.

    `run`, `percentile_cuts` and `standing` are read by request threads without a lock: each is a reference to a
    value that does not change.
    """

    def __init__(self, database: Database | None, seconds_between_looks: float = SECONDS_BETWEEN_LOOKS) -> None:
        super().__init__("night", seconds_between_looks)
        self.database = database
        self.run: PublishedRun | None = None
        self.percentile_cuts: NDArray[np.float64] | None = None
        self.standing = DatabaseStanding("not asked yet" if database else "not configured")
        self._looking = threading.Lock()

    def follow(self, wait_seconds: float = 0.0) -> None:
        """Start following, where there is a database."""
        if self.database is not None:
            super().follow(wait_seconds)

    def look(self) -> None:
        """Ask the database once which run is published."""
        if self.database is None:
            return
        with self._looking:
            try:
                require_current_schema(self.database)
                with self.database.transaction() as connection:
                    self._take(serving.published_run(connection))
                self._stand(DatabaseStanding("reachable", checked_at=datetime.now(UTC)))
            except SchemaBehind as error:
                self._note("schema behind", error)
            except DatabaseUnavailable as error:
                self._note("database unavailable", error)

    def _take(self, run: PublishedRun | None) -> None:
        if run != self.run:
            self.percentile_cuts = np.array(run.percentile_cuts) if run and run.percentile_cuts else None
            self.run = run

    def _note(self, state: DatabaseState, error: ChurnError) -> None:
        self._stand(DatabaseStanding(state, error.message, error.next_step, datetime.now(UTC)))

    def _stand(self, standing: DatabaseStanding) -> None:
        """Take a new standing, and log it when it is news."""
        changed = standing.state != self.standing.state
        self.standing = standing
        if changed and standing.message:
            logger.warning("%s %s", standing.message, standing.next_step)
