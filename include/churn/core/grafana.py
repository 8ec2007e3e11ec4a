"""Grafana's documented rules for a query, a variable and an alert rule: what it would ask, and what a rule would say.

- Macros of the PostgreSQL data source: https://grafana.com/docs/grafana/latest/datasources/postgres/query-editor/
  The arguments of a macro end at the first closing parenthesis.
- Variables and their formats: https://grafana.com/docs/grafana/latest/dashboards/variables/variable-syntax/
- Reduce and threshold: https://grafana.com/docs/grafana/latest/alerting/fundamentals/alert-rules/queries-conditions/
- Files of alert rules:
  https://grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/file-provisioning/
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
INTERVALS = (1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 604_800)

Json = dict[str, Any]
AlertState = Literal["Alerting", "Normal", "NoData"]


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


def alert_target(rule: Json) -> Target:
    """The query of a rule."""
    return Target(f"alert {rule['title']}", rule["data"][0]["model"]["rawSql"], rule["data"][0]["model"]["format"])


def alert_moment(rule: Json, at: datetime) -> Moment:
    """The time range of a rule that is evaluated at a time."""
    span = rule["data"][0]["relativeTimeRange"]
    return Moment(at - timedelta(seconds=span["from"]), at - timedelta(seconds=span["to"]))


def state_of(rule: Json, values: Sequence[float]) -> AlertState:
    """What a rule says of the numbers of its query, in the order of time, before its `for`.

    Raises ValueError for a condition other than a number reduced by last, sum or max and held to be greater.
    """
    if not values:
        return "NoData"
    nodes = {node["refId"]: node["model"] for node in rule["data"]}
    condition = nodes[rule["condition"]]
    reduce = nodes[condition["expression"]]
    (check,) = condition["conditions"]
    shape = (condition["type"], reduce["type"], reduce["expression"], check["evaluator"]["type"])
    if shape != ("threshold", "reduce", "A", "gt") or reduce["reducer"] not in ("last", "sum", "max"):
        raise ValueError(f"{rule['title']}: no reading of {shape} by {reduce['reducer']}")
    reduced = {"last": values[-1], "sum": sum(values), "max": max(values)}[reduce["reducer"]]
    return "Alerting" if reduced > check["evaluator"]["params"][0] else "Normal"
