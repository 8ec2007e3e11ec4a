"""One worker at a time, and a way past a worker that only looks alive.

The lock belongs to the server process that also runs the worker's transaction: ending that process ends both, so
whoever holds the lock next can be sure that the one before it writes nothing more.
"""

import logging
import time
from typing import Any

import psycopg

Connection = psycopg.Connection[dict[str, Any]]

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2

_TRY = "SELECT pg_try_advisory_lock(hashtextextended(%(name)s, 0)) AS got"
# The key of a lock is shown in two halves. A holder gets on while its server process works or its COPY grows.
_HOLDER = """
SELECT locks.pid, activity.wait_event_type, activity.state_change, copies.bytes_processed
FROM pg_locks AS locks
JOIN pg_stat_activity AS activity USING (pid)
LEFT JOIN pg_stat_progress_copy AS copies USING (pid)
WHERE locks.locktype = 'advisory' AND locks.granted AND locks.objsubid = 1
  AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (locks.classid::bigint << 32) | locks.objid::bigint = hashtextextended(%(name)s, 0)
"""


def take_lock(connection: Connection, name: str, patience_seconds: float) -> None:
    """Take the lock `name` for the life of the connection (in autocommit mode).

    Waits for a holder that gets on, and ends the connection of one that has not for `patience_seconds`.
    """
    seen: dict[str, Any] | None = None
    seen_at = time.monotonic()
    while not _one(connection, _TRY, name)["got"]:
        holder = _one(connection, _HOLDER, name)
        if holder != seen or holder.get("wait_event_type") != "Client":
            seen, seen_at = holder, time.monotonic()
        elif time.monotonic() - seen_at >= patience_seconds:
            log.warning("%s: its holder (server process %s) has stopped; taking over.", name, holder["pid"])
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", (holder["pid"],))
        time.sleep(POLL_SECONDS)


def _one(connection: Connection, statement: str, name: str) -> dict[str, Any]:
    return connection.execute(statement, {"name": name}).fetchone() or {}
