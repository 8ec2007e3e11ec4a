"""POST /v1/predict/batch: up to 10,000 customers, each scored or told why not."""

import threading
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, g, request

from churn_api.auth import needs
from churn_api.batch_rows import (
    CSV,
    JSON,
    MAXIMUM_ROWS,
    Row,
    read_rows,
    refused_row,
    scored_row,
    write_csv,
    write_json,
)  # fmt: skip
from churn_api.bodies import read_body
from churn_api.idempotency import Answer, answer_once
from churn_api.problems import Problem
from churn_api.scoring import Scored, models_now, remember, score

MAXIMUM_BATCH_BYTES = 16 * 1024 * 1024
SMALLER = f"Send it in parts of up to {MAXIMUM_ROWS} customers and 16 MiB."
AT_ONCE = 2  # batches of a worker: a bound on its memory, and on what a lone request waits for
SECONDS_TO_WAIT = 20
blueprint = Blueprint("batch", __name__)
_places = threading.BoundedSemaphore(AT_ONCE)


@blueprint.post("/v1/predict/batch")
@needs("predict")
def predict_batch() -> Response:
    """Score a JSON list or a CSV table; a row that breaks the contract does not keep the others from an answer."""
    sent_as, answer_as = _content_types()
    body = read_body(MAXIMUM_BATCH_BYTES, SMALLER)
    answer = answer_once((sent_as, answer_as), body, lambda: _answer(body, sent_as, answer_as))
    g.model_version = answer.model_version
    return Response(answer.body, content_type=answer.content_type, headers=answer.headers)


def _content_types() -> tuple[str, str]:
    """What the body is and what the answer is to be: as Accept says, else the same."""
    sent_as = request.mimetype
    if sent_as not in (JSON, CSV):
        raise Problem(415, "not-json-or-csv", "The body is neither declared as JSON nor as CSV.",
                      f"Send it with Content-Type: {JSON} or {CSV}.")  # fmt: skip
    wanted = request.accept_mimetypes
    other = CSV if sent_as == JSON else JSON
    answer_as = wanted.best_match((sent_as, other)) if wanted else sent_as
    if answer_as is None:
        raise Problem(406, "not-acceptable", "The answer can be JSON or CSV, and the header Accept allows neither.",
                      f"Send Accept: {JSON} or {CSV}.")  # fmt: skip
    return sent_as, answer_as


def _answer(body: bytes, sent_as: str, answer_as: str) -> Answer:
    answers, model_version = answer_rows(body, sent_as)
    written = write_json(answers, g.request_id) if answer_as == JSON else write_csv(answers)
    content_type = answer_as if answer_as == JSON else f"{CSV}; charset=utf-8"
    return Answer(content_type, model_version, written)


def answer_rows(body: bytes, sent_as: str) -> tuple[list[dict[str, Any]], int]:
    """The answer to each row of a body in order, and the version that answered. Raises Problem; few run at once."""
    if not _places.acquire(timeout=SECONDS_TO_WAIT):
        raise Problem(503, "busy", "Other batches are being answered.", "Send it again later.", retry_after=5)
    try:
        return _score_rows(read_rows(body, sent_as))
    finally:
        _places.release()


def _score_rows(rows: Sequence[Row]) -> tuple[list[dict[str, Any]], int]:
    """The answer to each row in order, and the version that answered (of several, the first)."""
    model_of = models_now()
    chosen = [(row, model_of(row.customer_id)) for row in rows if not row.errors]
    models = {served.version: served for _, served in chosen} or {(any_one := model_of(None)).version: any_one}
    answers = {row.number: refused_row(row) for row in rows if row.errors}
    said: list[tuple[str | None, Any, Scored]] = []
    for version, served in models.items():
        own = [row for row, its in chosen if its.version == version]
        for row, scored in zip(own, score(served, [row.record for row in own]), strict=True):
            answers[row.number] = scored_row(row, scored.answer() | {"model_version": version})
            said.append((row.customer_id, row.record, scored))
    first = next(iter(models))
    remember(first, said)
    return [answers[row.number] for row in rows], first
