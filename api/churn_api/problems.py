"""Errors as RFC 9457 problem documents: what is wrong, in which field, and what to do next."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flask import Flask, Response, g
from pydantic import BaseModel, ConfigDict
from werkzeug.exceptions import HTTPException, InternalServerError

MEDIA_TYPE = "application/problem+json"
_BY_STATUS = {
    400: ("malformed-request", "Send one JSON object, UTF-8, with every name in double quotes."),
    404: ("not-found", "GET /v1/docs lists every address."),
    405: ("method-not-allowed", "The header Allow lists the methods of this address."),
    408: ("too-slow", "Send the request again, its body at once."),
    413: ("too-large", "Send less at once: 64 KiB for one customer, 16 MiB for a batch."),
    415: ("not-json", "Send JSON with the header Content-Type: application/json."),
    500: ("internal-error", "Try again; if it stays, give the request id to the operators."),
}
_FALLBACK = ("refused", "Correct the request and send it again.")


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field of a request."""

    field: str
    message: str
    next_step: str


class ProblemDocument(BaseModel):
    """An error as RFC 9457 has it, with what to do next and the fields that it is about."""

    model_config = ConfigDict(extra="forbid")

    type: str
    title: str
    status: int
    detail: str
    next_step: str
    request_id: str | None
    errors: list[FieldProblem] | None = None


class Problem(Exception):
    """An answer other than success, raised by a view.

    `kind` is the last part of the document's type, `retry_after` in seconds where waiting helps.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        next_step: str,
        errors: Sequence[FieldProblem] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.next_step = next_step
        self.errors = tuple(errors)
        self.retry_after = retry_after

    def response(self) -> Response:
        """The problem document as an HTTP answer; the request log names its kind."""
        g.problem = self.kind
        answer = Response(self._document(), status=self.status, content_type=MEDIA_TYPE)
        if self.retry_after is not None:
            answer.headers["Retry-After"] = str(self.retry_after)
        return answer

    def _document(self) -> str:
        document: dict[str, Any] = {
            "type": f"urn:churn:problem:{self.kind}",
            "title": self.kind.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "next_step": self.next_step,
            "request_id": g.get("request_id"),
        }
        if self.errors:
            document["errors"] = [asdict(error) for error in self.errors]
        return json.dumps(document)


def answer_with_problems(app: Flask) -> None:
    """Make every error of `app` a problem document without a stack trace."""
    app.register_error_handler(Problem, Problem.response)
    app.register_error_handler(HTTPException, _from_http)
    app.register_error_handler(InternalServerError, _from_crash)


def _from_http(error: HTTPException) -> Response | HTTPException:
    """A routing or reading error of the framework; its own headers (Allow) stay."""
    if error.code is None or error.code < 400:
        return error
    kind, next_step = _BY_STATUS.get(error.code, _FALLBACK)
    document = Problem(error.code, kind, error.description or error.name, next_step).response()
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            document.headers[name] = value
    return document


def _from_crash(_error: InternalServerError) -> Response:
    """A defect of ours. The trace is in the log; the caller gets none of it."""
    kind, next_step = _BY_STATUS[500]
    return Problem(500, kind, "The request could not be answered because of a defect.", next_step).response()
