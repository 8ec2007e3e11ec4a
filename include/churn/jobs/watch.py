"""What Grafana would show and whom it would wake, asked without Grafana: the same files, the same queries."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml

from churn.core.grafana import (
    AlertState,
    Json,
    Moment,
    Target,
    alert_moment,
    alert_target,
    expand,
    panels,
    since,
    state_of,
)
from churn.db import watched
from churn.db.database import Database

FOLDER = "include/grafana"  # of the project


@dataclass(frozen=True)
class AlertStanding:
    """What a rule says now, before its `for`, and what to do first where it fires."""

    title: str
    severity: str
    state: AlertState
    first_step: str


@dataclass(frozen=True)
class Figure:
    """A single number of a dashboard, over the range that it opens with; None where there is nothing to show."""

    dashboard: str
    title: str
    value: float | str | None
    unit: str


def alerts(database: Database, project_dir: Path) -> list[AlertStanding]:
    """Evaluate every provisioned alert rule now, as the role of `database`. Raises DatabaseUnavailable."""
    found = yaml.safe_load((project_dir / FOLDER / "provisioning/alerting/rules.yaml").read_text("utf-8"))
    now = datetime.now(UTC)
    return [_standing(rule, database, now) for group in found["groups"] for rule in group["rules"]]


def figures(database: Database, project_dir: Path) -> list[Figure]:
    """The single numbers of every dashboard now, as the role of `database`. Raises DatabaseUnavailable."""
    files = sorted((project_dir / FOLDER / "dashboards").glob("*.json"))
    return [figure for file in files for figure in _figures(json.loads(file.read_text("utf-8")), database)]


def _standing(rule: Json, database: Database, now: datetime) -> AlertStanding:
    rows = watched.ask(database, expand(alert_target(rule), alert_moment(rule, now)))
    given = [value for row in rows for name, value in row.items() if name != "time"]
    values = [math.nan if value is None else float(value) for value in given]
    annotations, severity = rule["annotations"], rule["labels"]["severity"]
    return AlertStanding(rule["title"], severity, state_of(rule, values), annotations["first_step"])


def _figures(dashboard: Json, database: Database) -> list[Figure]:
    moment = _opened(dashboard, database)
    return [_figure(dashboard, panel, moment, database) for panel in panels(dashboard) if panel["type"] == "stat"]


def _opened(dashboard: Json, database: Database) -> Moment:
    """The range and the variables that a dashboard opens with."""
    end = datetime.now(UTC)
    moment = Moment(end - since(dashboard), end)
    values = {}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            rows = watched.ask(database, expand(Target(variable["name"], variable["query"], "table"), moment))
            values[variable["name"]] = [str(next(iter(row.values()))) for row in rows] or [""]
        elif variable["type"] == "custom":
            values[variable["name"]] = [variable["current"]["value"]]
    return Moment(moment.start, end, values)


def _figure(dashboard: Json, panel: Json, moment: Moment, database: Database) -> Figure:
    (target,) = panel["targets"]
    asked = Target(panel["title"], target["rawSql"], target["format"], panel.get("interval"))
    rows = watched.ask(database, expand(asked, moment))
    value = next(iter(rows[-1].values())) if rows else None
    unit = panel["fieldConfig"]["defaults"]["unit"].removeprefix("suffix:").strip()
    shown = value if value is None or isinstance(value, str) else float(value)
    return Figure(dashboard["title"], panel["title"], shown, unit)
