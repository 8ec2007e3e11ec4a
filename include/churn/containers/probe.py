"""`python -m churn.containers.probe url URL | airflow COMPONENT | worker`: a container's health check.

It ends with 0 where the process does its work and with 1 and a word where it does not. It imports little: it runs
every few seconds in every container.
"""

import json
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from urllib.parse import urlsplit

SECONDS_FOR_AN_ANSWER = 8.0


def main(arguments: Sequence[str]) -> str:
    """What is wrong, in a few words; an empty text where nothing is."""
    match list(arguments):
        case ["url", url]:
            return wrong_with_url(url)
        case ["airflow", component]:
            return wrong_with_airflow(component)
        case ["worker"]:
            return wrong_with_worker()
    return "usage: probe url URL | airflow COMPONENT | worker"


def wrong_with_url(url: str) -> str:
    """Whether a GET is answered with success, past any proxy."""
    status, _ = _get(url)
    return "" if 200 <= status < 300 else f"{url} answered {status or 'nothing'}"


def wrong_with_airflow(component: str) -> str:
    """Whether Airflow's own report calls a component healthy: `triggerer`, `dag_processor`, `scheduler`."""
    place = urlsplit(os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"])
    status, body = _get(f"{place.scheme}://{place.netloc}/api/v2/monitor/health")
    if status != 200:
        return f"the API server answered {status or 'nothing'}"
    found = (json.loads(body).get(component) or {}).get("status")
    return "" if found == "healthy" else f"Airflow calls {component} {found or 'missing'}"


def wrong_with_worker() -> str:
    """Whether this container's Celery worker answers over the broker, as it would to the scheduler."""
    from celery import Celery

    name = f"celery@{socket.gethostname()}"
    app = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"])
    answers = app.control.ping(destination=[name], timeout=SECONDS_FOR_AN_ANSWER)
    return "" if answers else f"{name} does not answer over the broker"


def _get(url: str) -> tuple[int, bytes]:
    """Status and body; status 0 where nothing answers in time."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=SECONDS_FOR_AN_ANSWER) as answer:
            return int(answer.status), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""
    except OSError:
        return 0, b""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) or 0)  # a text goes to stderr and makes it 1
