"""One platform: what of it we run ourselves, what was given to us, and under which addresses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import SecretStr

from churn.errors import ConfigurationError, PlatformError
from churn.platform.credentials import Credentials
from churn.platform.ports import LOOPBACK
from churn.platform.state import FILE_NAME, State
from churn.settings import Settings

AIRFLOW_USER = "admin"


@dataclass(frozen=True)
class Platform:
    """Settings, secrets and ports of one state folder, and every address that follows from them."""

    settings: Settings
    home: Path
    credentials: Credentials
    state: State

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The platform that was started from this state folder. Raises PlatformError where none ever was."""
        home = settings.home.resolve()
        if not (home / FILE_NAME).exists():
            raise PlatformError(f"No platform was ever started in {home}.", "Run `churn platform up`.")
        return cls(settings, home, Credentials.of(home), State.of(home))

    @property
    def given_database(self) -> str | None:
        """An existing PostgreSQL for the churn schemas."""
        return self._given(self.settings.database_url)

    @property
    def given_airflow_database(self) -> str | None:
        """An existing metadata database for Airflow."""
        return self._given(self.settings.airflow_database_url)

    @property
    def given_mlflow_database(self) -> str | None:
        """An existing backend store for our MLflow."""
        return self._given(self.settings.mlflow_database_url)

    @property
    def given_mlflow(self) -> str | None:
        """An existing MLflow server. What `churn platform env` exported is our own, not a given one."""
        address = self.settings.mlflow_tracking_uri
        own = {f"http://{LOOPBACK}:{port}" for port in self.state.mlflow_ports}
        return None if address in own else address

    @property
    def embeds_postgres(self) -> bool:
        """Whether one of the three databases is ours to run."""
        mlflow = self.given_mlflow or self.given_mlflow_database
        return not (self.given_database and self.given_airflow_database and mlflow)

    @property
    def database_url(self) -> str:
        """The churn database as the pipeline's role."""
        return self.given_database or self.own_url("churn_pipeline", "churn")

    @property
    def admin_database_url(self) -> str | None:
        """The churn database as a role that may migrate; None where an existing one was given without it."""
        if self.given_database is None:
            return self.own_url("postgres", "churn")
        return self._given(self.settings.admin_database_url)

    @property
    def api_database_url(self) -> str:
        """The churn database as the API's role. Raises ConfigurationError where an existing one lacks it."""
        if self.given_database is None:
            return self.own_url("churn_api", "churn")
        given = self._given(self.settings.api_database_url)
        if given is None:
            raise ConfigurationError(
                "CHURN_DATABASE_URL names an existing PostgreSQL, but CHURN_API_DATABASE_URL is not set.",
                "Set it to the same database as role churn_api, which may only read.",
            )
        return given

    @property
    def airflow_database_url(self) -> str:
        """Airflow's metadata database as the role that owns it."""
        return self.given_airflow_database or self.own_url("airflow", "airflow")

    @property
    def mlflow_database_url(self) -> str:
        """MLflow's backend store as the role that owns it."""
        return self.given_mlflow_database or self.own_url("mlflow", "mlflow")

    @property
    def mlflow_url(self) -> str:
        """The MLflow server."""
        return self.given_mlflow or self._local("mlflow")

    @property
    def airflow_url(self) -> str:
        """The Airflow UI and REST API on this machine."""
        return self._local("airflow")

    @property
    def public_airflow_url(self) -> str:
        """Where people reach the Airflow UI: the same, unless CHURN_AIRFLOW_URL names a proxy."""
        return self._public(self.settings.airflow_url) or self.airflow_url

    @property
    def api_url(self) -> str:
        """The API on this machine."""
        return self._local("api")

    @property
    def public_api_url(self) -> str:
        """Where people reach the API: the same, unless CHURN_API_URL names a proxy."""
        return self._public(self.settings.api_url) or self.api_url

    @property
    def artifacts(self) -> str:
        """Where our MLflow keeps artifacts: a folder's file:// address, or s3://."""
        given = self.settings.mlflow_artifacts_url
        return absolute(given) if given else (self.home / "mlflow-artifacts").as_uri()

    @property
    def logs(self) -> Path:
        """The folder of every log."""
        return self.home / "logs"

    def own_url(self, role: str, database: str) -> str:
        """A database of the embedded server as one of its roles."""
        password = getattr(self.credentials, role)
        return f"postgresql://{role}:{password}@{LOOPBACK}:{self.state.ports['postgres']}/{database}"

    def _given(self, url: SecretStr | None) -> str | None:
        """A URL, unless it is one of our own, which `churn platform env` may have put into this shell."""
        if url is None or self.credentials.is_own(_password_of(url.get_secret_value())):
            return None
        return url.get_secret_value()

    def _local(self, service: str) -> str:
        return f"http://{LOOPBACK}:{self.state.ports[service]}"

    @staticmethod
    def _public(url: str | None) -> str | None:
        """A proxy's address; one on loopback is an old export of ours, whose port may have changed since."""
        return None if url is None or url.startswith(f"http://{LOOPBACK}:") else url


def absolute(place: str) -> str:
    """A folder's name made independent of the working directory; a URL stays as it is."""
    return place if "://" in place else str(Path(place).resolve())


def _password_of(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None
