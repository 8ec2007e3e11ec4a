"""The API keys as a worker knows them: read every few seconds beside the requests, never in one.

A key that is created or revoked is known to every worker within SECONDS_BETWEEN_LOOKS and a bit. While the database is
away the keys last read are honoured for the policy's grace; then nobody is let in, for a revocation may be among what
could not be read.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from churn.core.api_keys import ApiKey
from churn.db import api_keys
from churn.db.database import Database
from churn.errors import DatabaseUnavailable
from churn_api.following import Follower

SECONDS_BETWEEN_LOOKS = 2.0
logger = logging.getLogger("churn_api.keys")


@dataclass(frozen=True)
class KnownKeys:
    """Every key that there ever was, by its id, and when they were read (of the monotonic clock, in seconds).

    `is_current` is False where a later look could not read them.
    """

    by_id: Mapping[str, ApiKey]
    read_at: float
    is_current: bool = True

    @property
    def asks_for_one(self) -> bool:
        """Whether callers need a key: once there was one, for ever. Revoking the last must not open the door."""
        return bool(self.by_id)


_of_master: KnownKeys | None = None


def hand_to_workers(known: KnownKeys) -> None:
    """Keep what the master read at its start: a worker that starts while the database is away begins with it."""
    global _of_master
    _of_master = known


def read_keys(database: Database) -> KnownKeys:
    """Read the keys now. Raises DatabaseUnavailable."""
    began = time.monotonic()  # what is revoked while it is being read is not known
    with database.transaction() as connection:
        return KnownKeys({key.key_id: key for key in api_keys.read_all(connection)}, began)


class KeyRing(Follower):
    """Holds the keys of one database and keeps reading them once `follow` was called.

    Request threads read `known` without a lock: it is a reference to a frozen value.
    """

    def __init__(
        self, database: Database, grace: timedelta, seconds_between_looks: float = SECONDS_BETWEEN_LOOKS
    ) -> None:
        super().__init__("keys", seconds_between_looks)
        self._database = database.kept()
        # A look takes its time, and the next comes after a pause: neither is an outage yet.
        self._trusted_seconds = grace.total_seconds() + 2 * seconds_between_looks
        self._known = _of_master
        self._is_failing = False

    @property
    def known(self) -> KnownKeys | None:
        """The keys, or None where they were never read, or too long ago to be trusted."""
        known = self._known
        if known is None or time.monotonic() - known.read_at > self._trusted_seconds:
            return None
        return known

    def look(self) -> None:
        """Read the keys once; where that fails, those that are known stay."""
        known = self._known
        try:
            self._known = read_keys(self._database)
            self._is_failing = False
        except DatabaseUnavailable as error:
            if not self._is_failing:
                logger.warning("%s The API keys last read are honoured for a while.", error.message)
            self._is_failing = True
            if known is not None:
                self._known = replace(known, is_current=False)
