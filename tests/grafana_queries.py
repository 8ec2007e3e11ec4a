"""Grafana's documented rules for a query, a variable and an alert rule, so that they can be held against a database.

- Macros of the PostgreSQL data source: https://grafana.com/docs/grafana/latest/datasources/postgres/query-editor/
  The arguments of a macro end at the first closing parenthesis.
- Variables and their formats: https://grafana.com/docs/grafana/latest/dashboards/variables/variable-syntax/
- Reduce and threshold: https://grafana.com/docs/grafana/latest/alerting/fundamentals/alert-rules/queries-conditions/
- Files of alert rules:
  https://grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/file-provisioning/
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import yaml

from churn.settings import PROJECT

GRAFANA = PROJECT / "include/grafana"
DASHBOARDS = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(GRAFANA.glob("dashboards/*.json"))}
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
INTERVALS = (1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 604_800)
NUMBERS = {20, 21, 23, 700, 701, 1700}  # oids: int8, int2, int4, float4, float8, numeric
TIMES = {1082, 1114, 1184}  # date, timestamp, timestamptz
TEXTS = {18, 19, 25, 1043}

Json = dict[str, Any]


def provisioned(part: str) -> Json:
    """One file of include/grafana/provisioning."""
    return yaml.safe_load((GRAFANA / "provisioning" / part).read_text("utf-8"))


@dataclass(frozen=True)
class Target:
    """One query with where it is, the format that it is asked in, and the smallest interval of its panel."""

    where: str
    sql: str
    format: str
    interval: str | None = None


@dataclass(frozen=True)
class Moment:
    """What a query is expanded for: a time range, and the values chosen for the dashboard's variables."""

    start: datetime
    end: datetime
    variables: Mapping[str, Sequence[str]] = field(default_factory=dict)


def panels(dashboard: Json) -> Iterator[Json]:
    """Every panel that shows something, those inside collapsed rows too."""
    for panel in dashboard["panels"]:
        yield from (inner for inner in panel.get("panels", ()))
        if panel["type"] != "row":
            yield panel


def targets(dashboard: Json) -> list[Target]:
    """The queries of a dashboard's panels and annotations."""
    found = [
        Target(f"{dashboard['title']}: {panel['title']}", target["rawSql"], target["format"], panel.get("interval"))
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]
    notes = [note["target"] | {"name": note["name"]} for note in dashboard["annotations"]["list"]]
    return found + [Target(f"{dashboard['title']}: {note['name']}", note["rawSql"], "annotation") for note in notes]


def since(dashboard: Json) -> timedelta:
    """The length of the range that a dashboard opens with."""
    number, unit = re.fullmatch(r"now-(\d+)([smhdw])", dashboard["time"]["from"]).groups()  # type: ignore[union-attr]
    return timedelta(seconds=int(number) * SECONDS[unit])


def interval_of(moment: Moment, smallest: str | None) -> int:
    """Seconds of $__interval: the range over 1,000 points, rounded up, and no less than the panel's own."""
    points = (moment.end - moment.start).total_seconds() / 1_000
    rounded = next(seconds for seconds in INTERVALS if seconds >= points)
    return max(rounded, _seconds(smallest) if smallest else 1)


def expand(target: Target, moment: Moment) -> str:
    """The SQL that the server gets. Raises ValueError for what the documentation does not know."""
    seconds = interval_of(moment, target.interval)
    given = {"__interval": [f"{seconds}s"], "__interval_ms": [str(seconds * 1_000)], **moment.variables}

    def value(match: re.Match[str]) -> str:
        name, how = match["braced"] or match["plain"], match["format"]
        return _formatted(given[name], how) if name in given else match[0]

    named = r"\$\{(?P<braced>\w+)(?::(?P<format>\w+))?\}|\$(?P<plain>\w+)(?!\w*\()"
    sql = re.sub(named, value, target.sql)
    sql = re.sub(r"\$(?P<name>[_a-zA-Z0-9]+)\((?P<arguments>[^)]*)\)", lambda match: _macro(match, moment), sql)
    if left := re.findall(r"\$(?:\{|[A-Za-z_])\w*", sql):
        raise ValueError(f"{target.where}: unexpanded {left}")
    return sql


def _formatted(values: Sequence[str], how: str | None) -> str:
    if how in ("sqlstring", "singlequote"):
        return ",".join("'" + value.replace("'", "''") + "'" for value in values)
    if how is None and len(values) == 1:
        return values[0]
    raise ValueError(f"no SQL comes of {values} in format {how}")


def _macro(match: re.Match[str], moment: Moment) -> str:
    name, arguments = match["name"], [each.strip() for each in match["arguments"].split(",")]
    start, end = (f"'{each.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%S.%fZ')}'" for each in (moment.start, moment.end))
    first = arguments[0]
    if name in ("__timeGroup", "__timeGroupAlias"):
        seconds = _seconds(arguments[1].strip("'"))
        alias = ' AS "time"' if name.endswith("Alias") or match.string[match.end() :].startswith(",") else ""
        return f"floor(extract(epoch from {first})/{seconds})*{seconds}{alias}"
    known = {
        "__time": f'{first} AS "time"',
        "__timeEpoch": f'extract(epoch from {first}) AS "time"',
        "__timeFilter": f"{first} BETWEEN {start} AND {end}",
        "__timeFrom": start,
        "__timeTo": end,
        "__unixEpochFilter": f"{first} >= {moment.start.timestamp():.0f} AND {first} <= {moment.end.timestamp():.0f}",
        "__unixEpochFrom": f"{moment.start.timestamp():.0f}",
        "__unixEpochTo": f"{moment.end.timestamp():.0f}",
    }
    if name not in known:
        raise ValueError(f"unknown macro ${name}")
    return known[name]


def _seconds(interval: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([smhdw])", interval).groups()  # type: ignore[union-attr]
    return int(number) * SECONDS[unit]


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


def alert_target(rule: Json) -> Target:
    """The query of a rule."""
    return Target(f"alert {rule['title']}", rule["data"][0]["model"]["rawSql"], rule["data"][0]["model"]["format"])


def alert_moment(rule: Json, at: datetime) -> Moment:
    """The time range of a rule that is evaluated at a time."""
    span = rule["data"][0]["relativeTimeRange"]
    return Moment(at - timedelta(seconds=span["from"]), at - timedelta(seconds=span["to"]))


def evaluate(rule: Json, connection: psycopg.Connection[Any], at: datetime) -> str:
    """What a rule says at a time, before its `for`: "Alerting", "Normal", or "NoData" where the query has no row."""
    result = run(connection, expand(alert_target(rule), alert_moment(rule, at)))
    assert result.faults == [], rule["title"]
    names = [name for name, _ in result.columns]
    (place,) = (place for place, name in enumerate(names) if name != "time")
    values = [math.nan if row[place] is None else float(row[place]) for row in result.rows]
    if not values:
        return "NoData"
    nodes = {node["refId"]: node["model"] for node in rule["data"]}
    condition = nodes[rule["condition"]]
    reduce = nodes[condition["expression"]]
    assert (condition["type"], reduce["type"], reduce["expression"]) == ("threshold", "reduce", "A")
    reduced = {"last": lambda: values[-1], "sum": lambda: sum(values), "max": lambda: max(values)}[reduce["reducer"]]()
    (check,) = condition["conditions"]
    assert check["evaluator"]["type"] == "gt"
    return "Alerting" if reduced > check["evaluator"]["params"][0] else "Normal"
