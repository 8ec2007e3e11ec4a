"""How this system speaks to an MLflow server: with bounded patience and errors that name the next step."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from churn.errors import RegistryUnavailable

REQUEST_SECONDS = 5  # with one retry an unreachable server is an answer within about 10 s
TRANSFER_SECONDS = 60  # the store behind the server may take its time to take a model


def answer_quickly() -> None:
    """Bound MLflow's patience in this process, unless the environment says otherwise.

    MLflow itself waits 120 s and tries 8 times.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(REQUEST_SECONDS))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # stdout belongs to --json


@contextmanager
def patiently() -> Iterator[None]:
    """Allow a request TRANSFER_SECONDS while a model is sent; not for threads that also read."""
    name = "MLFLOW_HTTP_REQUEST_TIMEOUT"
    before = os.environ[name]
    os.environ[name] = str(max(TRANSFER_SECONDS, int(before)))
    try:
        yield
    finally:
        os.environ[name] = before


@contextmanager
def asking(address: str) -> Iterator[None]:
    """Turn what MLflow and its HTTP client raise into RegistryUnavailable that names the address."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    try:
        yield
    except (MlflowException, RequestException) as error:
        raise RegistryUnavailable(
            f"MLflow at {address} did not do what was asked: {str(error).splitlines()[0][:300]}.",
            "Look at the MLflow server and its log, then run this again.",
        ) from error


def client_of(tracking_uri: str) -> Any:
    """MLflow's client of one server, without any process-wide address."""
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
