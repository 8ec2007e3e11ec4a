"""What makes a secret one: the only place that judges passwords, keys and the URLs that hold them.

`make up` asks it about `.env`, and every process of a container asks it about its own environment before it starts.
On a person's own machine (`CHURN_ENVIRONMENT` unset or `local`) only what is missing is refused; anywhere else also
what everybody could guess. It needs no library, so that it can be asked before anything is installed.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from churn.errors import ConfigurationError

ENVIRONMENT = "CHURN_ENVIRONMENT"
ENVIRONMENTS = ("local", "staging", "production")
Kind = Literal["identifier", "password", "key", "fernet", "address"]

SHORTEST = {"identifier": 8, "password": 16, "key": 32}  # nosec B105 - characters
FEWEST_CHARACTERS = 6  # different ones, below which a text is a pattern and no secret
FERNET_BYTES = 32
# What examples, tutorials and images ship with.
_LONG_WORD = re.compile(
    "12345|67890|abcdef|admin|airflow|change|churn|default|example|grafana|guest|letmein|minio|mlflow|passw|placeholder"
    "|postgres|qwerty|replace|sample|secret",
    re.IGNORECASE,
)
# A random text may spell one of these by chance: what else is in it has to be long enough alone.
_SHORT_WORD = re.compile("root|test|todo|xxxx", re.IGNORECASE)
_IN_A_URL = re.compile(r"[A-Za-z0-9._~-]+")  # unreserved in RFC 3986: passwords stand in URLs as they are


@dataclass(frozen=True)
class Secret:
    """A variable that holds a secret, what it opens, and what it has to look like.

    An `address` is a URL, or a Connection as JSON, whose password is judged; one without a password is no secret.
    """

    variable: str
    opens: str
    kind: Kind = "password"


# What docker-compose.yaml asks `.env` for. `make setup-data` makes each at random.
OF_THE_STACK = (
    Secret("POSTGRES_PASSWORD", "PostgreSQL as its superuser, for the service init alone"),
    Secret("CHURN_PIPELINE_PASSWORD", "the churn database as role churn_pipeline"),
    Secret("CHURN_API_PASSWORD", "the churn database as role churn_api"),
    Secret("CRM_READER_PASSWORD", "the churn database as role crm_reader"),
    Secret("GRAFANA_READER_PASSWORD", "the churn database as role grafana_reader"),
    Secret("AIRFLOW_DATABASE_PASSWORD", "Airflow's metadata database"),
    Secret("MLFLOW_DATABASE_PASSWORD", "MLflow's backend store"),
    Secret("REDIS_PASSWORD", "the queue between scheduler and workers"),
    Secret("S3_ACCESS_KEY_ID", "the S3 storage, with the next one", "identifier"),
    Secret("S3_SECRET_ACCESS_KEY", "the S3 storage", "key"),
    Secret("AIRFLOW_ADMIN_PASSWORD", "Airflow's UI and REST API as user admin"),
    Secret("AIRFLOW_FERNET_KEY", "the Connections that Airflow keeps in its database", "fernet"),
    Secret("AIRFLOW_JWT_SECRET", "what workers are believed by", "key"),
    Secret("AIRFLOW_SESSION_KEY", "sessions in Airflow's UI, and logs on workers", "key"),
    Secret("CHURN_API_SESSION_SECRET", "sessions at the page of the API", "key"),
    Secret("GRAFANA_ADMIN_PASSWORD", "Grafana as user admin"),
)

# What a process finds in its environment, whoever put it there. Judged where it is set.
OF_A_PROCESS = (
    Secret("AIRFLOW__CORE__FERNET_KEY", "the Connections that Airflow keeps in its database", "fernet"),
    Secret("AIRFLOW__API_AUTH__JWT_SECRET", "what workers are believed by", "key"),
    Secret("AIRFLOW__API__SECRET_KEY", "sessions in Airflow's UI, and logs on workers", "key"),
    Secret("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "Airflow's metadata database", "address"),
    Secret("AIRFLOW__CELERY__BROKER_URL", "the queue between scheduler and workers", "address"),
    Secret("AIRFLOW__CELERY__RESULT_BACKEND", "the results of the workers", "address"),
    Secret("AIRFLOW_ADMIN_PASSWORD", "Airflow's UI and REST API as user admin"),
    Secret("AIRFLOW_CONN_CHURN_DB", "the churn database", "address"),
    Secret("CHURN_DATABASE_URL", "the churn database", "address"),
    Secret("CHURN_ADMIN_DATABASE_URL", "the churn database, as a role that may migrate", "address"),
    Secret("CHURN_API_DATABASE_URL", "the churn database as role churn_api", "address"),
    Secret("CHURN_API_SESSION_SECRET", "sessions at the page of the API", "key"),
    Secret("CHURN_AIRFLOW_DATABASE_URL", "Airflow's metadata database", "address"),
    Secret("CHURN_MLFLOW_DATABASE_URL", "MLflow's backend store", "address"),
    Secret("MLFLOW_BACKEND_STORE_URI", "MLflow's backend store", "address"),
)


def environment_of(environ: Mapping[str, str]) -> str:
    """The environment that these variables are of. Raises ConfigurationError for a name that is none."""
    name = environ.get(ENVIRONMENT) or "local"
    if name not in ENVIRONMENTS:
        raise ConfigurationError(f"{ENVIRONMENT} is {name!r}.", f"Set it to one of {', '.join(ENVIRONMENTS)}.")
    return name


def faults(environ: Mapping[str, str], needed: Iterable[Secret], if_set: Iterable[Secret] = ()) -> dict[str, str]:
    """What is wrong with which variable, in words that do not repeat its value; empty where nothing is.

    `needed` must be there, `if_set` are judged where they are. Raises ConfigurationError for an unknown environment.
    """
    is_local = environment_of(environ) == "local"
    needed, if_set = tuple(needed), tuple(if_set)
    found = {each.variable: "is not set" for each in needed if not environ.get(each.variable)}
    if is_local:
        return found
    present = [each for each in (*needed, *if_set) if environ.get(each.variable)]
    found |= {each.variable: wrong for each in present if (wrong := wrong_with(environ[each.variable], each.kind))}
    return found | _repeated(environ, [each for each in needed if each.variable not in found])


def require_secrets(environ: Mapping[str, str], needed: Iterable[Secret], if_set: Iterable[Secret] = ()) -> None:
    """Raise ConfigurationError naming every variable with a fault, and what the fault is."""
    found = faults(environ, needed, if_set)
    if found:
        told = "; ".join(f"{variable} {wrong}" for variable, wrong in found.items())
        raise ConfigurationError(
            f"Refused in environment {environment_of(environ)}: {told}.",
            "Set each to a random value of its own; `make setup-data` writes missing ones into .env.",
        )


def wrong_with(value: str, kind: Kind) -> str:
    """What speaks against a value outside local, or an empty text."""
    if kind == "address":
        password = _password_in(value)
        return _guessable(password, SHORTEST["password"]) if password else ""
    if kind == "fernet":
        return _wrong_with_fernet(value)
    if wrong := _guessable(value, SHORTEST[kind]):
        return wrong
    return "" if _IN_A_URL.fullmatch(value) else "has a character that a URL cannot hold (use letters, digits, . _ ~ -)"


def _guessable(value: str, shortest: int) -> str:
    if len(value) < shortest:
        return f"has fewer than {shortest} characters"
    if _LONG_WORD.search(value) or (_SHORT_WORD.search(value) and len(_SHORT_WORD.sub("", value)) < shortest):
        return "is made of words that everybody would try"
    return "repeats itself" if len(set(value)) < FEWEST_CHARACTERS else ""


def _wrong_with_fernet(value: str) -> str:
    try:
        key = base64.urlsafe_b64decode(value.encode())
    except (binascii.Error, ValueError):
        return "is no Fernet key"
    if len(key) != FERNET_BYTES:
        return "is no Fernet key"
    return "repeats itself" if len(set(key)) < FEWEST_CHARACTERS else ""


def _password_in(address: str) -> str | None:
    """The password of a URL or of a Connection in JSON; None where there is none."""
    if address.lstrip().startswith("{"):
        try:
            return str(json.loads(address).get("password") or "") or None
        except ValueError:
            return None
    try:
        password = urlsplit(address).password
    except ValueError:
        return None
    return unquote(password) if password else None


def _repeated(environ: Mapping[str, str], secrets: Iterable[Secret]) -> dict[str, str]:
    """Variables with the value of an earlier one: who knows the one would know the other."""
    first: dict[str, str] = {}
    found = {}
    for each in secrets:
        value = environ[each.variable]
        if value in first:
            found[each.variable] = f"has the value of {first[value]}"
        first.setdefault(value, each.variable)
    return found
