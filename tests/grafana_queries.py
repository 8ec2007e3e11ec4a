"""The files of include/grafana, run against a database as Grafana would run them."""

import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import yaml

from churn.core.grafana import Json, alert_moment, alert_target, expand, state_of
from churn.settings import PROJECT

GRAFANA = PROJECT / "include/grafana"
DASHBOARDS = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(GRAFANA.glob("dashboards/*.json"))}
NUMBERS = {20, 21, 23, 700, 701, 1700}  # oids: int8, int2, int4, float4, float8, numeric
TIMES = {1082, 1114, 1184}  # date, timestamp, timestamptz
TEXTS = {18, 19, 25, 1043}


def provisioned(part: str) -> Json:
    """One file of include/grafana/provisioning."""
    return yaml.safe_load((GRAFANA / "provisioning" / part).read_text("utf-8"))


@dataclass(frozen=True)
class Result:
    """What a query gave: names and type oids of its columns, and its rows."""

    columns: tuple[tuple[str, int], ...]
    rows: list[tuple[Any, ...]]

    @property
    def faults(self) -> list[str]:
        """Why Grafana could not draw it as a time series."""
        types = dict(self.columns)
        values = [name for name, oid in self.columns if name != "time" and oid in NUMBERS]
        others = {name for name, oid in self.columns if name not in {"time", *values} and oid not in TEXTS}
        found = ["a column is neither number nor text"] if others else []
        if types.get("time") not in TIMES | NUMBERS:
            return [*found, "there is no column `time`"]
        place = [name for name, _ in self.columns].index("time")
        times = [row[place] for row in self.rows]
        found += [] if times == sorted(times) else ["rows are not in the order of time"]
        found += [] if None not in times else ["a time is missing"]
        return found + ([] if values else ["there is no number"])


def run(connection: psycopg.Connection[Any], sql: str) -> Result:
    """Run a query as it is."""
    cursor = connection.execute(sql)
    return Result(tuple((each.name, each.type_code) for each in cursor.description or ()), cursor.fetchall())


def server_milliseconds(connection: psycopg.Connection[Any], sql: str, times: int = 5) -> float:
    """The fastest of some runs, planning included: what the query costs, not how busy the machine is."""

    def once() -> float:
        (told,) = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}").fetchone()[0]  # type: ignore[index]
        return float(told["Planning Time"] + told["Execution Time"])

    return min(once() for _ in range(times))


RULES: list[Json] = [rule for group in provisioned("alerting/rules.yaml")["groups"] for rule in group["rules"]]


def rule_of(uid: str) -> Json:
    """An alert rule by its uid."""
    return next(rule for rule in RULES if rule["uid"] == uid)


def evaluate(rule: Json, connection: psycopg.Connection[Any], at: datetime) -> str:
    """What a rule says at a time, before its `for`: "Alerting", "Normal", or "NoData" where the query has no row."""
    result = run(connection, expand(alert_target(rule), alert_moment(rule, at)))
    assert result.faults == [], rule["title"]
    names = [name for name, _ in result.columns]
    (place,) = (place for place, name in enumerate(names) if name != "time")
    values = [math.nan if row[place] is None else float(row[place]) for row in result.rows]
    return state_of(rule, values)
