"""Whether each process does its work, asked of the process itself."""

import http.client
import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import psutil
from psycopg import pq

from churn.platform.layout import Platform
from churn.platform.ports import LOOPBACK
from churn.platform.processes import AIRFLOW, POSTGRES, Process, processes_of
from churn.platform.supervisor import Supervised

SECONDS_FOR_AN_ANSWER = 5.0
_REPORTER = AIRFLOW[0]


def unwell(
    platform: Platform, states: Mapping[str, Supervised], names: Collection[str] | None = None
) -> dict[str, str]:
    """What is wrong with each of these processes (default: all), in a few words; empty when they are well."""
    asked = [process for process in processes_of(platform) if names is None or process.name in names]
    found: dict[str, str] = {}
    if platform.embeds_postgres and (names is None or POSTGRES in names):
        found[POSTGRES] = _of_postgres(platform, states.get(POSTGRES))
    reports = any(process.heartbeat for process in asked) and _runs(states.get(_REPORTER.name))
    airflow = _airflow_report(platform) if reports else None
    for process in asked:
        found[process.name] = _of_process(platform, process, states.get(process.name), airflow)
    return {name: wrong for name, wrong in found.items() if wrong}


def get(port: int, path: str) -> tuple[int, bytes] | None:
    """Status and body of a GET on loopback, past any proxy; None where nothing answers in time."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=SECONDS_FOR_AN_ANSWER)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _runs(state: Supervised | None) -> bool:
    return state is not None and state.runs


def _of_postgres(platform: Platform, state: Supervised | None) -> str:
    if state is None or not state.runs:
        return _standing(state)
    port = platform.state.ports["postgres"]
    answer = pq.PGconn.ping(f"host={LOOPBACK} port={port} connect_timeout=3".encode())
    return "" if answer == pq.Ping.OK else "does not accept connections yet"


def _of_process(platform: Platform, process: Process, state: Supervised | None, airflow: dict[str, Any] | None) -> str:
    if state is None or not state.runs:
        return _standing(state)
    if process.service and not _is_heard(state.pid, platform.state.ports[process.service]):
        return "does not listen yet"
    if process.heartbeat:
        return _of_airflow(process.heartbeat, state, airflow)
    if process.service and process.health_path:
        answer = get(platform.state.ports[process.service], process.health_path)
        return "" if answer and answer[0] == 200 else "does not answer yet"
    return ""


def _is_heard(pid: int, port: int) -> bool:
    """Whether it is this process or a child of it that listens, not what a killed predecessor left behind."""
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return False
    return any(_listens(process, port) for process in family)


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        places = process.net_connections("tcp4")
    except psutil.Error:
        return False
    return any(place.status == psutil.CONN_LISTEN and place.laddr.port == port for place in places)


def _of_airflow(component: str, state: Supervised, report: dict[str, Any] | None) -> str:
    """Judge an Airflow process by the API server's report; a heartbeat older than the process is none."""
    if report is None:
        return "the Airflow API does not answer yet"
    part = report.get(component) or {}
    if part.get("status") != "healthy":
        return f"Airflow calls it {part.get('status') or 'missing'}"
    beat = part.get(f"latest_{component}_heartbeat")
    if beat and datetime.fromisoformat(beat).timestamp() < state.started_at:
        return "no heartbeat since its start"
    return ""


def _airflow_report(platform: Platform) -> dict[str, Any] | None:
    answer = get(platform.state.ports["airflow"], _REPORTER.health_path or "")
    if answer is None or answer[0] != 200:
        return None
    try:
        report = json.loads(answer[1])
    except ValueError:
        return None
    return report if isinstance(report, dict) else None


def _standing(state: Supervised | None) -> str:
    return "not started" if state is None else f"{state.state.lower()}: {state.complaint}"
