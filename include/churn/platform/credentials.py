"""Passwords and keys of one local platform: made once, kept in secrets.json with mode 0600."""

import base64
import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

from churn.errors import PlatformError
from churn.platform.files import read_object, write_private

FILE_NAME = "secrets.json"


@dataclass(frozen=True)
class Credentials:
    """Every secret of one platform. Database passwords are safe in a URL as they are."""

    postgres: str
    airflow: str
    mlflow: str
    churn_pipeline: str
    churn_api: str
    crm_reader: str
    grafana_reader: str
    airflow_admin: str
    airflow_fernet_key: str
    airflow_jwt_secret: str
    airflow_session_key: str
    api_session_secret: str

    @classmethod
    def of(cls, home: Path) -> Self:
        """The credentials of a state folder; whatever is missing is made and kept.

        Raises PlatformError where the file is damaged.
        """
        path = home / FILE_NAME
        known = read_object(path)
        wanted = [field.name for field in fields(cls)]
        made = {name: _MAKERS.get(name, _password)() for name in wanted if name not in known}
        if made:
            _refuse_lost(home, known)
            write_private(path, json.dumps(known | made, indent=1))
        elif path.stat().st_mode & 0o077:
            path.chmod(0o600)
        return cls(**{name: str((known | made)[name]) for name in wanted})

    def is_own(self, password: str | None) -> bool:
        """Whether a password is one of these, so that the URL it is in points at this platform."""
        return password is not None and password in self._all()

    def _all(self) -> Iterable[str]:
        return asdict(self).values()


def _refuse_lost(home: Path, known: dict[str, object]) -> None:
    """Data whose passwords are lost must not be covered up with new passwords."""
    if not known and (home / "postgres").exists():
        raise PlatformError(
            f"{home} holds a database but no {FILE_NAME}, which has its passwords.",
            f"Restore {FILE_NAME}, or move {home} away to start anew.",
        )


def _password() -> str:
    return secrets.token_urlsafe(24)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _long_secret() -> str:
    return secrets.token_urlsafe(64)


_MAKERS: dict[str, Callable[[], str]] = {
    "airflow_fernet_key": _fernet_key,
    "airflow_jwt_secret": _long_secret,
    "airflow_session_key": _long_secret,
    "api_session_secret": _long_secret,
}
