"""One JSON line a request, without customer data, and the headers every answer carries."""

import json
import logging
import re
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import ClientDisconnected

from churn.core.api_keys import ApiKey, without_secrets
from churn_api.problems import Problem

REQUEST_ID = "X-Request-ID"
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
MAXIMUM_PATH = 200
_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
logger = logging.getLogger("churn_api.requests")


class WholeRequest(Request):
    """A request whose body is there as a whole, or not at all: gunicorn hands on what came before the end."""

    def get_data(self, *arguments: Any, **named: Any) -> Any:
        """The body. Raises ClientDisconnected where less arrived than was announced."""
        body = super().get_data(*arguments, **named)
        if self.content_length is not None and len(body) < self.content_length:
            raise ClientDisconnected
        return body


class JsonLines(logging.Formatter):
    """A record as one line of JSON: whatever a caller sent, it cannot begin a line of its own, and no key is in it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record with the fields of its `request`, and its trace where there is one."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "request", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return without_secrets(json.dumps(line))


def log_to_stderr() -> None:
    """Send what `churn_api` logs to stderr as JSON lines, once."""
    api_logger = logging.getLogger("churn_api")
    if any(isinstance(handler.formatter, JsonLines) for handler in api_logger.handlers):
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    api_logger.addHandler(handler)
    api_logger.setLevel(logging.INFO)
    api_logger.propagate = False


def log_requests(app: Flask) -> None:
    """Give every request an id, a line in the log, and every answer the security headers."""
    app.request_class = WholeRequest
    app.register_error_handler(ClientDisconnected, _too_slow)
    app.before_request(_begin)
    app.after_request(_end)


def _too_slow(_error: ClientDisconnected) -> Response:
    """The body ended before its end. A caller who is still there was too slow; see churn_api.worker."""
    return Problem(408, "too-slow", "The body did not arrive in time.", "Send it again, at once.").response()


def _begin() -> None:
    """Take the caller's request id where it is harmless, or make one."""
    g.request_id = request_id(request.headers.get(REQUEST_ID))
    g.began = time.perf_counter()


def request_id(given: str | None) -> str:
    """The id of a request that came with `given`."""
    return given if given and _SAFE_ID.fullmatch(given) else uuid.uuid4().hex


def _end(response: Response) -> Response:
    response.headers[REQUEST_ID] = g.request_id
    present = {name.lower() for name in response.headers.keys()}  # noqa: SIM118 - headers iterate as pairs
    response.headers.extend([header for header in SECURITY_HEADERS.items() if header[0].lower() not in present])
    quiet = request.path == "/health" and response.status_code == 200
    caller: ApiKey | None = g.get("caller")
    write_line(
        g.request_id,
        request.method,
        request.url_rule.rule if request.url_rule else request.path[:MAXIMUM_PATH],
        response.status_code,
        time.perf_counter() - g.began,
        g.get("model_version"),
        caller.key_name if caller is not None else None,
        logging.DEBUG if quiet else logging.INFO,
    )
    return response


def write_line(
    request_id: str,
    method: str,
    path: str,
    status: int,
    seconds: float,
    model_version: int | None,
    key_name: str | None,
    level: int = logging.INFO,
) -> None:
    """Log an answered request. `path` is the route where there is one: a path may name a customer."""
    if not logger.isEnabledFor(level):
        return
    fields = {
        "request_id": request_id,
        "method": method,
        "path": path,
        "status": status,
        "milliseconds": round(seconds * 1000, 2),
        "model_version": model_version,
        "key": key_name,
    }
    # Made here: `log` would look for the caller's line in the stack, for nothing.
    logger.handle(logger.makeRecord(logger.name, level, "", 0, "answered", (), None, extra={"request": fields}))
