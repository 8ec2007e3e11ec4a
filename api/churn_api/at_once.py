"""Short requests that nothing is wrong with, answered all together and without the framework.

What Flask and gunicorn do for any request costs more than a prediction. Here the same functions read, let in, score,
log and count; whatever is not simply answered with 200 is left to the framework, which says why. The bytes of an
answer are those that gunicorn and Flask would send.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from json import JSONEncoder
from typing import Any

from flask import Flask
from gunicorn import SERVER
from gunicorn.util import http_date

from churn.core.api_keys import ApiKey
from churn.db.api_requests import Answer, LoggedRequest
from churn_api import metrics, request_log
from churn_api.arms import Arms
from churn_api.auth import KEY_HEADER, Door
from churn_api.bodies import ONE_CUSTOMER, BadRecord, customer_of, is_json, parse_json
from churn_api.journal import Journal
from churn_api.predict import SCOPE, answer_of
from churn_api.problems import Problem
from churn_api.request_log import REQUEST_ID, SECURITY_HEADERS
from churn_api.scoring import Scored, Scorer
from churn_api.served import Served
from churn_api.short_requests import ShortRequest

_ID, _KEY = REQUEST_ID.lower().encode(), KEY_HEADER.lower().encode()
_SECURITY = "".join(f"{name}: {value}\r\n" for name, value in SECURITY_HEADERS.items())


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that will be answered: by whom, about whom."""

    place: int
    route: str
    request_id: str
    caller: ApiKey | None
    customer_id: str | None
    record: Mapping[str, Any]


class AtOnce:
    """Answers short requests with what an app has: its keys, its model, its log. Make it last."""

    def __init__(self, app: Flask) -> None:
        self._door: Door = app.extensions["door"]
        self._arms: Arms = app.extensions["arms"]
        self._scorer: Scorer = app.extensions["scorer"]
        self._journal: Journal | None = app.extensions["journal"]
        self._json = JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)  # as Flask's, but for NaN

    def answer(self, requests: Sequence[ShortRequest]) -> list[bytes | None]:
        """The whole answer to each request, in order; None for one that the framework must answer.

        Nothing has been logged, counted or charged of those. Raises what a model raises that is not fit to answer;
        then it holds for all of them.
        """
        began = time.perf_counter()
        answers: list[bytes | None] = [None] * len(requests)
        served = self._arms.undivided()
        if served is None:
            return answers
        asked = [one for place, request in enumerate(requests) if (one := self._read(place, request)) is not None]
        scored = self._scorer.score_each(served, [one.record for one in asked])
        bodies = [self._body(served, *pair) for pair in zip(asked, scored, strict=True)]
        date = http_date()
        for one, said, body in zip(asked, scored, bodies, strict=True):
            if one.caller is None or self._door.has_room(one.caller):
                answers[one.place] = _whole(date, one.request_id, body)
                self._note(served, one, said, began)
        return answers

    def _read(self, place: int, request: ShortRequest) -> _Asked | None:
        """What a request asks; None where it is not let in, cannot be read, or wants anything more."""
        if request.field(b"connection") not in (None, "keep-alive") or not is_json(request.field(b"content-type")):
            return None
        try:
            caller = self._door.holder_of(_sent_text(request), SCOPE)
            customer_id, record = customer_of(parse_json(request.body, ONE_CUSTOMER))
        except (Problem, BadRecord):
            return None
        request_id = request_log.request_id(request.field(_ID))
        return _Asked(place, request.route, request_id, caller, customer_id, record)

    def _body(self, served: Served, one: _Asked, said: Scored) -> bytes:
        return f"{self._json.encode(answer_of(one.customer_id, said, served.version, one.request_id))}\n".encode()

    def _note(self, served: Served, one: _Asked, said: Scored, began: float) -> None:
        """Count, keep and log it, as the app's own hooks do."""
        seconds = time.perf_counter() - began
        key_id, key_name = (one.caller.key_id, one.caller.key_name) if one.caller else (None, None)
        if self._journal is not None:
            answer = Answer(
                one.customer_id, one.record, said.churn_probability, said.risk_level, served.version, "production"
            )
            self._journal.keep(LoggedRequest(
                datetime.now(UTC), one.request_id, one.route, 200, seconds * 1000, key_id, None, (answer,)
            ))  # fmt: skip
        metrics.count("POST", one.route, 200, seconds, (said.risk_level,))
        request_log.write_line(one.request_id, "POST", one.route, 200, seconds, served.version, key_name)


def _sent_text(request: ShortRequest) -> str | None:
    """The key as it was sent. Another form than `Bearer KEY` is no key here, and is judged by the framework."""
    authorization = request.field(b"authorization")
    if authorization is None:
        return request.field(_KEY)
    scheme, _, text = authorization.partition(" ")
    return text if scheme.lower() == "bearer" else None


def _whole(date: str, request_id: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nServer: {SERVER}\r\nDate: {date}\r\nConnection: keep-alive\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"{REQUEST_ID}: {request_id}\r\n{_SECURITY}\r\n"
    )
    return head.encode("ascii") + body
