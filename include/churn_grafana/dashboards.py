"""What a dashboard is made of: rows of panels, variables, notes on the time axis, and links to the other tools."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from churn_grafana.panels import DATASOURCE, Json, Panel

DATASOURCE_UID = "churn-postgres"  # of provisioning/datasources/churn.yaml
SCHEMA_VERSION = 41
TAG = "churn"
PLACES = {"airflow_url": "http://localhost:8080", "mlflow_url": "http://localhost:5000"}

PROMOTIONS = """
SELECT served_from AS time, served_from AS timeend,
       decision || ': version ' || model_version || coalesce(' for ' || previous_version, '') || '. ' || reason AS text,
       decision AS tags
FROM monitoring.serving_periods
WHERE $__timeFilter(served_from)
"""


@dataclass(frozen=True)
class Row:
    """Panels side by side under a title; `row_id` is for good, as that of a panel."""

    row_id: int
    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Dashboard:
    """One dashboard; `uid` is for good, because links and alert rules name it. `since` is the default range."""

    uid: str
    title: str
    description: str
    since: str
    refresh: str
    rows: Sequence[Row]
    variables: Sequence[Json] = ()

    def to_json(self) -> Json:
        """The dashboard as Grafana reads it from a file."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "timezone": "utc",
            "time": {"from": f"now-{self.since}", "to": "now"},
            "refresh": self.refresh,
            "templating": {"list": [_datasource(), *_addresses(), *self.variables]},
            "annotations": {"list": [_promotions()]},
            "links": _links(),
            "panels": _laid_out(self.rows),
        }


def choice(name: str, label: str, values: Sequence[str]) -> Json:
    """A variable with one of a few fixed values; the first is chosen."""
    first = {"text": values[0], "value": values[0], "selected": True}
    options = [{"text": value, "value": value, "selected": value == values[0]} for value in values]
    query = ",".join(values)
    return _variable(name, label, "custom", query=query, current=first, options=options, multi=False, includeAll=False)


def found(name: str, label: str, sql: str) -> Json:
    """A variable with any of the values that a query finds; all are chosen."""
    return _variable(
        name,
        label,
        "query",
        datasource=DATASOURCE,
        query=sql,
        definition=sql,
        refresh=2,  # when the time range changes
        sort=1,
        multi=True,
        includeAll=True,
        current={"text": ["All"], "value": ["$__all"], "selected": True},
        options=[],
    )


def _variable(name: str, label: str, kind: str, **more: Any) -> Json:
    return {"name": name, "label": label, "type": kind, "hide": 0, "skipUrlSync": False, **more}


def _datasource() -> Json:
    chosen = {"text": "Churn", "value": DATASOURCE_UID, "selected": True}
    more = {"query": DATASOURCE["type"], "current": chosen, "refresh": 1, "multi": False, "includeAll": False}
    return _variable("datasource", "Data source", "datasource", **more) | {"hide": 2}


def _addresses() -> list[Json]:
    """Where the other tools are. Files of dashboards know no environment: `?var-airflow_url=` says it otherwise."""
    return [
        _variable(name, name, "textbox", query=url, current={"text": url, "value": url}, options=[]) | {"hide": 2}
        for name, url in PLACES.items()
    ]


def _promotions() -> Json:
    return {
        "name": "Promotions",
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "purple",
        "target": {
            "refId": "Anno",
            "format": "table",
            "rawQuery": True,
            "editorMode": "code",
            "rawSql": PROMOTIONS.strip(),
        },
    }


def _links() -> list[Json]:
    common = {"icon": "external link", "targetBlank": True, "includeVars": False, "keepTime": False, "tooltip": ""}
    others = {
        "title": "Churn", "type": "dashboards", "tags": [TAG], "asDropdown": False, "icon": "dashboard",
        "includeVars": False, "keepTime": False, "targetBlank": False, "tooltip": "", "url": "",
    }  # fmt: skip
    airflow = {**common, "title": "Airflow", "type": "link", "url": "${airflow_url}", "tags": []}
    mlflow = {**common, "title": "MLflow", "type": "link", "url": "${mlflow_url}", "tags": []}
    return [others, airflow, mlflow]


def _laid_out(rows: Sequence[Row]) -> list[Json]:
    placed: list[Json] = []
    y = 0
    for row in rows:
        heading = {"id": row.row_id, "type": "row", "title": row.title, "collapsed": False, "panels": []}
        placed.append(heading | {"gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        x, y, height = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > 24:
                x, y, height = 0, y + height, 0
            placed.append(panel.to_json(x, y))
            x, height = x + panel.width, max(height, panel.height)
        y += height
    return placed
