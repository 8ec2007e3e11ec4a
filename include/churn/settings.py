"""WHERE things are: one frozen object, read once from CHURN_* variables."""

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """Addresses and paths of one environment. Secrets are SecretStr and come from the environment only.

    A service whose address is given is used as it is; the local platform starts the others itself.
    """

    model_config = SettingsConfigDict(env_prefix="CHURN_", frozen=True, extra="ignore", env_ignore_empty=True)

    environment: Literal["local", "staging", "production"] = Field(
        "local", description="Outside local, default and weak secrets stop every process by the variable's name."
    )
    project_dir: Path = Field(PROJECT, description="The checkout: dags/, plugins/, great_expectations/, api/.")
    home: Path = Field(PROJECT / ".local", description="State of the local platform; two homes, two platforms.")

    database_url: SecretStr | None = Field(None, description="PostgreSQL of the `churn` schemas, as churn_pipeline.")
    database_iam: bool = Field(False, description="Log in there with tokens of RDS IAM instead of a password.")
    admin_database_url: SecretStr | None = Field(None, description="The same database as a role that may migrate.")
    api_database_url: SecretStr | None = Field(None, description="The same database as churn_api.")
    api_session_secret: SecretStr | None = Field(None, description="What signs the sessions of the API's page.")
    airflow_database_url: SecretStr | None = Field(None, description="Airflow's own metadata database.")
    mlflow_database_url: SecretStr | None = Field(None, description="MLflow's backend store.")
    mlflow_tracking_uri: str | None = Field(
        None,
        validation_alias=AliasChoices("CHURN_MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_URI"),
        description="MLflow server.",
    )
    mlflow_artifacts_url: str | None = Field(None, description="Where MLflow keeps artifacts: a folder or s3://.")

    landing_url: str | None = Field(None, description="Where extracts land: a folder or s3://bucket/prefix.")
    landing_connection: str = Field("aws_default", description="Airflow Connection that opens the buckets.")
    landing_done_markers: bool = Field(False, description="Read a landed file only when <name>.done lies beside it.")
    landing_settle_seconds: float = Field(0.0, ge=0, description="Leave a landed file that changed more recently.")
    landing_query: Path | None = Field(None, description="SQL file whose rows are landed as the extract of the day.")
    landing_query_url: SecretStr | None = Field(None, description="SQLAlchemy URL of the database that it reads.")
    watch_landing: bool = Field(False, description="Start validate_customers when a file lands, not only daily.")
    postgres_programs: Path | None = Field(None, description="Folder of pg_dump and pg_restore.")
    reports_dir: Path | None = Field(None, description="Folder of drift reports and data docs.")
    reports_url: str | None = Field(None, description="s3://bucket/prefix in the folder's place, for many machines.")
    policy_file: Path | None = Field(None, description="TOML file that overrides policy defaults.")
    notify_urls: SecretStr | None = Field(None, description="Apprise URLs, separated by spaces.")

    logs_url: str | None = Field(None, description="Where Airflow keeps the logs of tasks besides: s3://.")
    secrets_prefix: str | None = Field(None, description="Prefix of Airflow's Connections in Secrets Manager.")

    airflow_port: int = Field(8080, description="First port tried for the Airflow UI.")
    mlflow_port: int = Field(5000, description="First port tried for MLflow.")
    api_port: int = Field(8000, description="First port tried for the API.")
    postgres_port: int = Field(5432, description="First port tried for the embedded PostgreSQL.")

    airflow_url: str | None = Field(None, description="Where people reach the Airflow UI.")
    mlflow_url: str | None = Field(None, description="Where people reach MLflow.")
    api_url: str | None = Field(None, description="Where people reach the API.")

    @property
    def mlflow_page(self) -> str | None:
        """The MLflow that a browser opens: processes may reach it under a name that people's machines do not know."""
        return self.mlflow_url or self.mlflow_tracking_uri

    @property
    def landing(self) -> str:
        """The landing folder or bucket prefix in force."""
        return self.landing_url or str(self.home.resolve() / "landing")

    @property
    def reports(self) -> str:
        """The folder or bucket prefix of reports in force."""
        return self.reports_url or str(self.reports_dir or self.home.resolve() / "reports")
