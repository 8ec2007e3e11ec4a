"""The Airflow door: the same services as everywhere, with database and S3 taken from Connections."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from churn.services import Services

DATABASE_CONNECTION = "churn_db"
AWS_CONNECTION = "aws_default"


def services() -> "Services":
    """Open the services of the running task: Connections `churn_db` and `aws_default`, the rest by settings."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    from churn.services import Services
    from churn.settings import Settings

    settings = Settings()
    storage_options = _s3_options() if settings.landing.startswith("s3://") else None
    return Services.from_settings(
        settings,
        database_url=PostgresHook(DATABASE_CONNECTION).get_uri(),
        storage_options=storage_options,
    )


def _s3_options() -> dict[str, Any]:
    """Credentials, region and endpoint of the AWS connection, as s3fs takes them."""
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

    hook: AwsGenericHook[Any] = AwsGenericHook(aws_conn_id=AWS_CONNECTION, client_type="s3")
    credentials = hook.get_credentials()
    client: dict[str, Any] = {"region_name": hook.region_name} if hook.region_name else {}
    if hook.conn_config.endpoint_url:
        client["endpoint_url"] = hook.conn_config.endpoint_url
    return {
        "key": credentials.access_key,
        "secret": credentials.secret_key,
        "token": credentials.token,
        "client_kwargs": client,
    }
