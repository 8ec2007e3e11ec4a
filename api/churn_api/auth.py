"""Who may ask what: every view says which scope it needs, and the key of a request must have it.

A view that says nothing needs a key of any scope; `anyone` marks those that need none. Where no key was ever made the
API answers as it does on a machine of one's own: it does not listen beyond it then (`start.require_loopback`).
"""

import logging
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, request

from churn.core.api_keys import ApiKey, Scope, read
from churn.db.database import Database
from churn.policy import Policy
from churn_api.keys import KeyRing, KnownKeys
from churn_api.problems import Problem
from churn_api.rate_limit import RateLimits

KEY_HEADER = "X-API-Key"
SECONDS_FOR_FIRST_LOOK = 5.0
CREATE_ONE = "Ask the operators for a key (`churn api-key create NAME --scope {scope}`)"

_ATTRIBUTE = "needed_scope"
_CHALLENGE = 'Bearer realm="churn"'
View = TypeVar("View", bound=Callable[..., Any])
logger = logging.getLogger("churn_api.auth")


class Refused(Problem):
    """A request of a caller who may not ask it, with the headers that say so to programs.

    `key_id` is that of a known key whose secret was wrong, or which is valid no more: the log names it.
    """

    def __init__(
        self, *problem: Any, headers: Mapping[str, str] | None = None, key_id: str | None = None, **more: Any
    ) -> None:
        super().__init__(*problem, **more)
        self.headers = dict(headers or {})
        self.key_id = key_id

    def response(self) -> Response:
        """The problem document with the headers."""
        if self.key_id is not None:
            logger.warning("A request with key id %s was refused.", self.key_id)
        answer = super().response()
        answer.headers.update(self.headers)
        return answer


def needs(scope: Scope) -> Callable[[View], View]:
    """Mark a view: its callers need a key with `scope`."""
    return _mark(scope)


def anyone(view: View) -> View:
    """Mark a view: it is answered without a key. For what says nothing of customers, such as /health."""
    return _mark(None)(view)


def _mark(scope: Scope | None) -> Callable[[View], View]:
    def mark(view: View) -> View:
        setattr(view, _ATTRIBUTE, scope)
        return view

    return mark


def says_who_may_ask(view: Callable[..., Any]) -> bool:
    """Whether a view is marked by `needs` or `anyone`."""
    return hasattr(view, _ATTRIBUTE)


def authenticate(app: Flask, database: Database | None, policy: Policy) -> None:
    """Ask every caller of `app` for a key of `database`, unless none was ever made; None: there can be none."""
    app.register_error_handler(Refused, Refused.response)
    ring = None
    if database is not None:
        ring = KeyRing(database, timedelta(minutes=policy.api_key_grace_minutes))
        ring.follow(SECONDS_FOR_FIRST_LOOK)
    app.extensions["door"] = Door(ring, policy)
    app.before_request(_let_in)
    app.after_request(_charge)


class Door:
    """Who is let in: the keys of one app, and how much each of them may still ask."""

    def __init__(self, ring: KeyRing | None, policy: Policy) -> None:
        self.ring = ring
        self._policy = policy
        self._limits = RateLimits()

    def known_keys(self) -> KnownKeys | None:
        """The keys of which a caller needs one, None where none was ever made. Refused where they are not known."""
        if self.ring is None:
            return None
        known = self.ring.known
        if known is None:
            raise cannot_tell()
        return known if known.asks_for_one else None

    def holder_of(self, text: str | None, scope: str) -> ApiKey | None:
        """The key that `text` is, which must be active and have `scope`; None where none is needed. Or Refused."""
        known = self.known_keys()
        return None if known is None else holder(known, text, scope)

    def has_room(self, key: ApiKey) -> bool:
        """Count one request of a key, unless it has asked more than its limit: then False, and nothing is counted."""
        return self._limits.take(key.key_id, self._per_minute(key)) == 0

    def limit(self, key: ApiKey) -> None:
        """Count one request of a key. Raises Refused where it has asked more than its limit."""
        seconds = self._limits.take(key.key_id, self._per_minute(key))
        if seconds > 0:
            raise Refused(
                429,
                "too-many-requests",
                f"The key {key.key_name} may ask {self._per_minute(key)} answers a minute.",
                "Wait as long as Retry-After says, or ask the operators for a higher limit.",
                retry_after=math.ceil(seconds),
            )

    def charge(self, key: ApiKey, count: int) -> None:
        """Count further answers of a key, which were given already."""
        self._limits.charge(key.key_id, count)

    def _per_minute(self, key: ApiKey) -> int:
        return key.requests_per_minute or self._policy.api_requests_per_minute


def door() -> Door:
    """The door of the app that answers this request."""
    found: Door = current_app.extensions["door"]
    return found


def _let_in() -> None:
    """Let the request in, or raise Refused. Leaves the key in g.caller, None where none is needed."""
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None:  # no such address: the answer is 404, whoever asks
        return
    scope = getattr(view, _ATTRIBUTE, "any")
    g.caller = None
    if scope is not None:
        g.caller = door().holder_of(_sent_text(), scope)
    if g.caller is not None:
        door().limit(g.caller)
    g.let_in = True


def holder(known: KnownKeys, text: str | None, scope: str) -> ApiKey:
    """The active key that `text` is, which must have `scope`. Raises Refused."""
    key = _key(known, text, scope)
    if scope not in (*key.scopes, "any"):
        raise Refused(
            403,
            "wrong-scope",
            f"The key {key.key_name} has not the scope {scope}.",
            f"{CREATE_ONE.format(scope=scope)}, or use another key.",
            headers={"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'},
        )
    return key


def _key(known: KnownKeys, text: str | None, scope: str) -> ApiKey:
    if text is None:
        raise Refused(
            401,
            "no-key",
            "This address needs an API key.",
            f"{CREATE_ONE.format(scope=scope)} and send it as Authorization: Bearer KEY or {KEY_HEADER}: KEY.",
            headers={"WWW-Authenticate": _CHALLENGE},
        )
    id_and_secret = read(text)
    key = known.by_id.get(id_and_secret[0]) if id_and_secret else None
    if key is None and id_and_secret and not known.is_current:
        raise cannot_tell()  # it may have been made since
    if key is None or id_and_secret is None or not key.holds(id_and_secret[1]) or not key.is_active(datetime.now(UTC)):
        raise Refused(
            401,
            "invalid-key",
            "The API key is not valid: it is unknown, expired or revoked.",
            f"{CREATE_ONE.format(scope=scope)}.",
            headers={"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'},
            key_id=key.key_id if key is not None else None,
        )
    return key


def _sent_text() -> str | None:
    """The key as it was sent. Never taken from the address: addresses end up in logs."""
    if request.authorization is not None and request.authorization.type == "bearer":
        return request.authorization.token or ""
    return request.headers.get(KEY_HEADER)


def _charge(response: Response) -> Response:
    """A batch costs as much as its rows asked one by one."""
    caller: ApiKey | None = g.get("caller")
    further = len(g.get("answered", ())) - 1
    if caller is not None and further > 0:
        door().charge(caller, further)
    return response


def cannot_tell() -> Refused:
    """The answer while the keys cannot be read."""
    return Refused(
        503,
        "keys-unknown",
        "Whether this key is valid cannot be told: the database of the keys is away.",
        "Ask again in a few seconds; the operators' next step is to bring the database back.",
        retry_after=5,
    )
