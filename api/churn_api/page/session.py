"""Who is at the page: a signed cookie with the id of an API key, never the key, and a token against forged forms.

The key is looked up by its id at every request, so a session ends when its key is revoked. The cookie is not readable
by scripts and is sent by no other site; its signature needs a secret that all workers share.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import Flask, current_app, g, request, session
from flask.sessions import SecureCookieSessionInterface

from churn.core.api_keys import ApiKey
from churn.errors import ConfigurationError
from churn.settings import Settings
from churn_api.auth import cannot_tell, door, holder
from churn_api.problems import Problem

SESSION_HOURS = 12  # a working day; then its owner signs in again
MINIMUM_SECRET_LENGTH = 32
SCOPE = "predict"  # without it nobody signs in; `read` shows customers too
TOKEN_FIELD, TOKEN_HEADER = "csrf_token", "X-CSRF-Token"

_KEY_ID, _TOKEN = "key_id", "csrf"


class NotSignedIn(Exception):
    """The page was asked for by someone who has no session, or whose key is valid no more."""


class ForgedForm(Exception):
    """A form came without the token of its session: from another site, or after the session's end."""


@dataclass(frozen=True)
class SessionSecret:
    """What signs the cookies; None where it was not set although others than this machine are listened to."""

    text: str | None


_of_master: SessionSecret | None = None


def hand_secret_to_workers(settings: Settings, beyond_loopback: bool) -> bool:
    """Choose what the workers sign with, in the master: the setting, or on loopback a secret until the next start.

    False where there is none, and so no page. Raises ConfigurationError for a secret that could be guessed.
    """
    global _of_master
    text = _set_secret(settings)
    if text is None and not beyond_loopback:
        text = secrets.token_urlsafe(64)
    _of_master = SessionSecret(text)
    return text is not None


def keep_sessions(app: Flask, settings: Settings) -> None:
    """Let `app` sign sessions. Without a master process it draws a secret of its own where none is set."""
    secret = _of_master or SessionSecret(_set_secret(settings) or secrets.token_urlsafe(64))
    app.secret_key = secret.text
    app.session_interface = _StrictCookie((settings.api_url or "").startswith("https://"))
    app.permanent_session_lifetime = timedelta(hours=SESSION_HOURS)
    app.config.update(
        SESSION_COOKIE_NAME="churn_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_REFRESH_EACH_REQUEST=False,  # it ends SESSION_HOURS after its beginning, however busy
    )


class _StrictCookie(SecureCookieSessionInterface):
    def __init__(self, behind_tls: bool) -> None:
        self._behind_tls = behind_tls

    def get_cookie_secure(self, _app: Flask) -> bool:
        """Only over TLS, where people come over TLS: to this process or to the proxy before it."""
        return self._behind_tls or request.is_secure


def require_secret() -> None:
    """Raise Problem where the page cannot hold a session."""
    if not current_app.secret_key:
        raise Problem(503, "no-session-secret", "The page is off: nothing is set to sign its sessions with.",
                      "Operators: set CHURN_API_SESSION_SECRET to 32 random characters or more and start the API "
                      "again. Programs need no session: see /v1/docs.")  # fmt: skip


def require_session() -> None:
    """Let the owner of an active key in, or anyone where no key was ever made. Raises NotSignedIn, Refused."""
    known = door().known_keys()
    g.caller = None
    if known is None:
        return
    key = known.by_id.get(session.get(_KEY_ID, ""))
    if key is None and _KEY_ID in session and not known.is_current:
        raise cannot_tell()  # it may have been made since
    if key is None or not key.is_active(datetime.now(UTC)) or SCOPE not in key.scopes:
        session.clear()
        raise NotSignedIn
    g.caller = key
    door().limit(key)


def require_token() -> None:
    """Raise ForgedForm unless the form or the header has the token of this session."""
    given = request.headers.get(TOKEN_HEADER) or request.form.get(TOKEN_FIELD, "")
    if not hmac.compare_digest(session.get(_TOKEN, "").encode(), given.encode()) or not given:
        raise ForgedForm


def token() -> str:
    """The token of this session, made at its first form."""
    if _TOKEN not in session:
        session.permanent = True
        session[_TOKEN] = secrets.token_urlsafe(32)
    found: str = session[_TOKEN]
    return found


def sign_in(text: str) -> None:
    """Begin a session of the owner of a key. Raises Refused where it is not valid or lacks the scope."""
    known = door().known_keys()
    session.clear()
    if known is not None:
        key = holder(known, text, SCOPE)
        g.caller = key
        session.permanent = True
        session[_KEY_ID] = key.key_id


def sign_out() -> None:
    """End the session."""
    session.clear()


def may_look_up() -> bool:
    """Whether who is at the page may see customers by id."""
    caller: ApiKey | None = g.get("caller")
    return caller is None or "read" in caller.scopes


def _set_secret(settings: Settings) -> str | None:
    if settings.api_session_secret is None:
        return None
    text = settings.api_session_secret.get_secret_value()
    if len(text) < MINIMUM_SECRET_LENGTH:
        raise ConfigurationError(
            f"CHURN_API_SESSION_SECRET has {len(text)} characters; {MINIMUM_SECRET_LENGTH} are the fewest.",
            'Set it to the output of `python -c "import secrets; print(secrets.token_urlsafe(64))"`.',
        )
    return text
