"""Answers kept under the key of a caller who may have to ask again, for a day, whichever worker is asked."""

import zlib
from dataclasses import dataclass

from churn.db.database import Connection, query

KEPT_HOURS = 24


@dataclass(frozen=True)
class KeptAnswer:
    """An answer as it was sent. `request_digest` is the SHA-256 of the request that it answered."""

    request_digest: bytes
    content_type: str
    model_version: int
    answer: bytes


def take(connection: Connection, caller: str, key: str) -> bool:
    """Reserve a key until the end of the transaction; False where another request is being answered under it."""
    row = connection.execute(query("serving_try_lock"), _named(caller, key)).fetchone()
    return bool(row and row["got"])


def find(connection: Connection, caller: str, key: str) -> KeptAnswer | None:
    """The answer that was given under a key within the last day."""
    row = connection.execute(query("serving_kept_answer"), {**_named(caller, key), "hours": KEPT_HOURS}).fetchone()
    return KeptAnswer(**{**row, "answer": zlib.decompress(row["answer"])}) if row else None


def keep(connection: Connection, caller: str, key: str, kept: KeptAnswer) -> None:
    """Keep an answer under a key that was taken, and forget those that are older than a day."""
    connection.execute(query("serving_forget_answers"), {"hours": KEPT_HOURS})
    values = {
        "request_digest": kept.request_digest,
        "content_type": kept.content_type,
        "model_version": kept.model_version,
        "answer": zlib.compress(kept.answer, 1),
    }
    connection.execute(query("serving_keep_answer"), _named(caller, key) | values)


def _named(caller: str, key: str) -> dict[str, str]:
    return {"caller": caller, "idempotency_key": key}
