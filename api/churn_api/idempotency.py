"""Idempotency-Key: who has to ask again gets the answer of the first time, whichever worker is asked.

The same key with the same request gives the same bytes for a day; with another request it is refused. It follows the
draft of the IETF's HTTPAPI working group (draft-ietf-httpapi-idempotency-key-header).
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from flask import current_app, g, request

from churn.core.api_keys import ApiKey
from churn.db import kept_answers
from churn.db.kept_answers import KeptAnswer
from churn.errors import DatabaseUnavailable
from churn_api.night import Night
from churn_api.problems import Problem

HEADER = "Idempotency-Key"
REPLAYED = {"Idempotent-Replay": "true"}
_KEY = re.compile(r"[!-~]{1,128}", re.ASCII)


@dataclass(frozen=True)
class Answer:
    """A successful answer, by the model version that gave it."""

    content_type: str
    model_version: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def answer_once(kind: Sequence[str], body: bytes, answer: Callable[[], Answer]) -> Answer:
    """Answer a request; under an Idempotency-Key only once, and from then on with what was kept.

    Raises Problem: 400 for a key that is none, 422 for one that was used for another request, 409 where that request
    is still being answered, 503 where answers cannot be kept.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return answer()
    if not _KEY.fullmatch(key):
        raise Problem(400, "malformed-key", f"{HEADER} is not 1 to 128 visible ASCII characters.",
                      "Send a random UUID.")  # fmt: skip
    digest = hashlib.sha256("\n".join((request.path, *kind, "")).encode() + body).digest()
    try:
        return _kept_or_new(key, digest, answer)
    except DatabaseUnavailable as error:
        raise _cannot_keep(error.message) from error


def _kept_or_new(key: str, digest: bytes, answer: Callable[[], Answer]) -> Answer:
    night: Night = current_app.extensions["night"]
    if night.database is None:
        raise _cannot_keep("The API has no database to keep answers in.")
    key_of_caller: ApiKey | None = g.get("caller")
    caller = key_of_caller.key_id if key_of_caller is not None else ""
    with night.database.transaction() as connection:
        if not kept_answers.take(connection, caller, key):
            raise Problem(409, "still-answering", "A request with this key is being answered at this moment.",
                          "Send it again in a few seconds.", retry_after=2)  # fmt: skip
        kept = kept_answers.find(connection, caller, key)
        if kept is None:
            new = answer()
            kept_answers.keep(
                connection, caller, key, KeptAnswer(digest, new.content_type, new.model_version, new.body)
            )
            return new
    if kept.request_digest != digest:
        raise Problem(422, "key-used", f"This {HEADER} was used for another request.",
                      "Send a new key with a new request.")  # fmt: skip
    return Answer(kept.content_type, kept.model_version, kept.answer, REPLAYED)


def _cannot_keep(why: str) -> Problem:
    step = f"Send it without {HEADER}: scoring changes nothing, so it may be repeated."
    return Problem(503, "cannot-keep-answers", why, step, retry_after=5)
