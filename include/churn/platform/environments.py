"""The environment of each process: what every one needs, and of the secrets only its own."""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from churn.platform.layout import AIRFLOW_USER, Platform, absolute
from churn.platform.ports import LOOPBACK
from churn.settings import Settings

HOME_MARK = "CHURN_PLATFORM_HOME"
PROCESS_MARK = "CHURN_PLATFORM_PROCESS"

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_SYSTEM = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
        *_CERTIFICATES,
        *_PROXIES,
        *(name.lower() for name in _PROXIES),
    )
)
_PREFIXES = ("LC_", "AWS_", "CHURN_", "AIRFLOW_CONN_", "MLFLOW_TRACKING_", "MLFLOW_S3_")
_FIXED = {
    "DO_NOT_TRACK": "true",
    "SCARF_ANALYTICS": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONSAFEPATH": "1",  # the working directory holds folders named like libraries
    "SPT_NOENV": "1",  # setproctitle would overwrite the mark by which we find our processes
}
_SECRETS_MANAGER = "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"


def carried(platform: Platform, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What of the caller's environment reaches the platform: places absolute, our own old exports left out.

    `environ` is the caller's, by default this process's own.
    """
    environ = os.environ if environ is None else environ
    kept = {
        name: value
        for name, value in environ.items()
        if (name in _SYSTEM or name.startswith(_PREFIXES))
        and not name.startswith("CHURN_PLATFORM_")
        and not name.endswith("DATABASE_URL")
        and name not in ("MLFLOW_TRACKING_URI", "CHURN_MLFLOW_TRACKING_URI", "AIRFLOW_CONN_CHURN_DB")
    }
    settings = platform.settings
    places = {
        "CHURN_HOME": platform.home,
        "CHURN_PROJECT_DIR": settings.project_dir.resolve(),
        "CHURN_REPORTS_DIR": settings.reports_dir and settings.reports_dir.resolve(),
        "CHURN_POLICY_FILE": settings.policy_file and settings.policy_file.resolve(),
        "CHURN_LANDING_URL": settings.landing_url and absolute(settings.landing_url),
        "CHURN_LANDING_QUERY": settings.landing_query and settings.landing_query.resolve(),
        "CHURN_MLFLOW_ARTIFACTS_URL": settings.mlflow_artifacts_url and absolute(settings.mlflow_artifacts_url),
        "CHURN_DATABASE_URL": platform.given_database,
        "CHURN_API_DATABASE_URL": platform.given_database and platform.api_database_url,
        "CHURN_AIRFLOW_DATABASE_URL": platform.given_airflow_database,
        "CHURN_MLFLOW_DATABASE_URL": platform.given_mlflow_database,
        "MLFLOW_TRACKING_URI": platform.given_mlflow,
    }
    return kept | {name: str(value) for name, value in places.items() if value}


def fingerprint(environ: Mapping[str, str]) -> str:
    """One short word that changes when a setting does, to tell that a running platform has older ones."""
    relevant = {name: value for name, value in environ.items() if name not in _SYSTEM}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:16]


def everywhere(platform: Platform, process: str, source: Mapping[str, str]) -> dict[str, str]:
    """What every process gets: the system's own variables, our marks, and settings that are no secret.

    `source` is what `carried` returned, here and in the functions below.
    """
    system = {name: value for name, value in source.items() if name in _SYSTEM or name.startswith("LC_")}
    public = _passed(
        source,
        "CHURN_HOME",
        "CHURN_PROJECT_DIR",
        "CHURN_POLICY_FILE",
        "CHURN_REPORTS_DIR",
        "CHURN_REPORTS_URL",
        "CHURN_LANDING_URL",
    )
    path = os.pathsep.join(filter(None, [str(Path(sys.executable).parent), source.get("PATH")]))
    return system | public | _FIXED | marks(platform.home, process) | _no_proxy(source) | {"PATH": path}


def marks(home: Path, process: str) -> dict[str, str]:
    """The variables by which a process is known as ours, whatever became of its parent."""
    return {HOME_MARK: str(home), PROCESS_MARK: process}


def of_mlflow(platform: Platform, source: Mapping[str, str]) -> dict[str, str]:
    """The MLflow server: its database, and S3 where artifacts live there."""
    return _passed(source, "AWS_*", "MLFLOW_S3_*") | {
        "MLFLOW_BACKEND_STORE_URI": platform.mlflow_database_url,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "5",
        "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "5",
    }


def of_api(platform: Platform, source: Mapping[str, str]) -> dict[str, str]:
    """The API: the churn database as the role that only reads, and MLflow."""
    secret = {"CHURN_API_SESSION_SECRET": platform.credentials.api_session_secret}
    passed = ("CHURN_API_WORKERS", "CHURN_API_THREADS", "CHURN_API_SESSION_SECRET", "CHURN_API_URL")
    return (
        secret
        | _passed(source, *passed, "MLFLOW_TRACKING_*")
        | {
            "CHURN_API_BIND": f"{LOOPBACK}:{platform.state.ports['api']}",
            "CHURN_API_DATABASE_URL": platform.api_database_url,
            "MLFLOW_TRACKING_URI": platform.mlflow_url,
        }
    )


def of_airflow_ui(platform: Platform, source: Mapping[str, str]) -> dict[str, str]:
    """The API server: Airflow's own secrets and logins, where to link to, and S3 where reports or logs lie there."""
    return (
        of_airflow(platform)
        | _passed(source, "CHURN_MLFLOW_URL")
        | (of_buckets(source) if _reads_from_aws(platform, source) else {})
        | {
            "AIRFLOW__API__SECRET_KEY": platform.credentials.airflow_session_key,
            "MLFLOW_TRACKING_URI": platform.mlflow_url,
            "CHURN_AIRFLOW_URL": platform.public_airflow_url,
            "CHURN_API_URL": platform.public_api_url,
        }
    )


def of_airflow_jobs(platform: Platform, source: Mapping[str, str]) -> dict[str, str]:
    """The processes that run our code: Airflow's secrets, the Connections, S3, and where notices go."""
    wanted = _passed(source, "CHURN_*", "AWS_*", "AIRFLOW_CONN_*", "MLFLOW_TRACKING_*", "MLFLOW_S3_*")
    jobs = {name: value for name, value in wanted.items() if not name.endswith(("DATABASE_URL", "SESSION_SECRET"))}
    database = {"AIRFLOW_CONN_CHURN_DB": connection(platform.database_url)}
    return {
        **of_buckets(source),
        **jobs,
        **of_airflow_ui(platform, source),
        **({} if platform.settings.secrets_prefix else database),  # else the backend knows it, and nobody else
    }


def of_buckets(source: Mapping[str, str]) -> dict[str, str]:
    """What opens a bucket inside Airflow: the Connection `aws_default`, the AWS SDK's own variables behind it."""
    given = _passed(source, "AWS_*", "AIRFLOW_CONN_*", "CHURN_LANDING_CONNECTION")
    return {"AIRFLOW_CONN_AWS_DEFAULT": json.dumps({"conn_type": "aws"})} | given


def of_airflow(platform: Platform) -> dict[str, str]:
    """Airflow's own configuration, as every one of its processes and its command line need it."""
    port, project = platform.state.ports["airflow"], platform.settings.project_dir.resolve()
    options: dict[str, object] = {
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "4",  # tasks at once: sized for two cores
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_FOLDER": project / "dags",
        "CORE__PLUGINS_FOLDER": project / "plugins",
        "CORE__FERNET_KEY": platform.credentials.airflow_fernet_key,
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",  # the default asks DNS, which hangs offline
        "CORE__EXECUTION_API_SERVER_URL": f"http://{LOOPBACK}:{port}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{AIRFLOW_USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": platform.home / "airflow" / "passwords.json",
        "API__BASE_URL": platform.public_airflow_url,
        "API__HOST": LOOPBACK,
        "API__PORT": port,
        "API__WORKERS": 1,
        "API_AUTH__JWT_SECRET": platform.credentials.airflow_jwt_secret,
        "API_AUTH__JWT_ISSUER": "churn-platform",
        "DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://" + platform.airflow_database_url.partition("://")[2],
        "DATABASE__SQL_ALCHEMY_POOL_SIZE": 5,
        "DATABASE__SQL_ALCHEMY_MAX_OVERFLOW": 10,
        "DATABASE__SQL_ALCHEMY_POOL_PRE_PING": "True",
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.2,
        "WORKERS__MIN_HEARTBEAT_INTERVAL": 1,
        "DAG_PROCESSOR__REFRESH_INTERVAL": 10,  # seconds until a new file is seen
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 30,
        "DAG_PROCESSOR__PRINT_STATS_INTERVAL": 600,
        "DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": platform.home / "airflow" / "bundles",
        "LOGGING__BASE_LOG_FOLDER": platform.logs / "airflow",
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": platform.logs / "airflow" / "dag_processor",
        "LOGGING__COLORED_CONSOLE_LOG": "False",
    }
    options |= _on_aws(platform.settings)
    named = {f"AIRFLOW__{name}": str(value) for name, value in options.items()}
    return {"AIRFLOW_HOME": str(platform.home / "airflow")} | named


def _on_aws(settings: Settings) -> dict[str, str]:
    """Where AWS does the work: task logs on S3, and Connections of Secrets Manager, <prefix>/connections/churn_db."""
    options = {}
    if settings.logs_url:
        options = {
            "LOGGING__REMOTE_LOGGING": "True",
            "LOGGING__REMOTE_BASE_LOG_FOLDER": settings.logs_url,
            "LOGGING__REMOTE_LOG_CONN_ID": "aws_default",
        }
    if settings.secrets_prefix:
        wanted = {
            "connections_prefix": f"{settings.secrets_prefix}/connections",
            "connections_lookup_pattern": "^churn_",  # nobody asks AWS for a Connection that is not ours
            "variables_prefix": None,
            "config_prefix": None,
        }
        options |= {"SECRETS__BACKEND": _SECRETS_MANAGER, "SECRETS__BACKEND_KWARGS": json.dumps(wanted)}
    return options


def _reads_from_aws(platform: Platform, source: Mapping[str, str]) -> bool:
    """Whether even a process of Airflow that runs no job reads from AWS: reports, logs or secrets."""
    settings = platform.settings
    return bool("CHURN_REPORTS_URL" in source or settings.logs_url or settings.secrets_prefix)


def connection(url: str) -> str:
    """A PostgreSQL URL as an Airflow Connection in JSON."""
    parts = urlsplit(url)
    return json.dumps(
        {
            "conn_type": "postgres",
            "host": parts.hostname,
            "port": parts.port or 5432,
            "login": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
            "schema": unquote(parts.path.removeprefix("/")),
            "extra": dict(parse_qsl(parts.query)),
        }
    )


def _passed(source: Mapping[str, str], *patterns: str) -> dict[str, str]:
    """Variables by name; a trailing * stands for any ending."""
    starts = tuple(pattern.removesuffix("*") for pattern in patterns if pattern.endswith("*"))
    return {name: value for name, value in source.items() if name in patterns or (starts and name.startswith(starts))}


def _no_proxy(source: Mapping[str, str]) -> dict[str, str]:
    """Calls to this machine never go through a proxy."""
    known = source.get("NO_PROXY") or source.get("no_proxy")
    value = ",".join(filter(None, [known, LOOPBACK, "localhost"]))
    return {"NO_PROXY": value, "no_proxy": value}
