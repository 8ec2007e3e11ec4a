"""What a panel is made of, in Grafana's classic dashboard schema.

Sources: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/ and the field
and panel options at https://grafana.com/docs/grafana/latest/panels-visualizations/.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

DATASOURCE = {"type": "grafana-postgresql-datasource", "uid": "${datasource}"}

Format = Literal["time_series", "table"]
Json = dict[str, Any]


@dataclass(frozen=True)
class Panel:
    """One panel: what it shows, in which unit, and the query behind it.

    `panel_id` is for good: alert rules and people's links name it. `steps` are (from value, colour), the first value
    None. `columns` are units of single fields, `links` addresses behind them; `colours` fix a series' colour.
    """

    panel_id: int
    kind: str
    title: str
    description: str
    unit: str
    sql: str
    format: Format
    width: int
    height: int
    options: Json
    custom: Json = field(default_factory=dict)
    steps: tuple[tuple[float | None, str], ...] = ((None, "green"),)
    columns: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    colours: dict[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    decimals: int | None = None
    interval: str | None = None

    def to_json(self, x: int, y: int) -> Json:
        """The panel at a place of the grid, 24 columns wide."""
        panel: Json = {
            "id": self.panel_id,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {"defaults": self._defaults(), "overrides": self._overrides()},
            "options": self.options,
            "targets": [_target(self.sql, self.format)],
        }
        return panel | ({"interval": self.interval} if self.interval else {})

    def _defaults(self) -> Json:
        by_steps = {"mode": "thresholds"} if len(self.steps) > 1 else {"mode": "palette-classic"}
        steps = [{"value": value, "color": colour} for value, colour in self.steps]
        defaults: Json = {
            "unit": self.unit,
            "color": by_steps if self.kind != "timeseries" else {"mode": "palette-classic"},
            "custom": self.custom,
            "thresholds": {"mode": "absolute", "steps": steps},
        }
        return defaults | ({"decimals": self.decimals} if self.decimals is not None else {})

    def _overrides(self) -> list[Json]:
        found: dict[str, list[Json]] = {}
        for name, unit in self.columns.items():
            found.setdefault(name, []).append({"id": "unit", "value": unit})
        for name, url in self.links.items():
            link = {"title": "Open", "url": url, "targetBlank": True}
            found.setdefault(name, []).append({"id": "links", "value": [link]})
        for name, colour in self.colours.items():
            fixed = {"mode": "fixed", "fixedColor": colour}
            found.setdefault(name, []).append({"id": "color", "value": fixed})
        for name in self.lines:
            dashed = {"fill": "dash", "dash": [8, 6]}
            plain = ({"id": "custom.lineStyle", "value": dashed}, {"id": "custom.fillOpacity", "value": 0})
            found.setdefault(name, []).extend(plain)
        return [
            {"matcher": {"id": "byName", "options": name}, "properties": properties}
            for name, properties in found.items()
        ]


def time_series(
    panel_id: int,
    title: str,
    description: str,
    unit: str,
    sql: str,
    *,
    stacked: bool = False,
    bars: bool = False,
    **more: Any,
) -> Panel:
    """Lines over time, or bars, one on another where they are `stacked`. The query has a column `time`."""
    custom = {
        "drawStyle": "bars" if bars else "line",
        "lineWidth": 1,
        "fillOpacity": 60 if stacked or bars else 10,
        "showPoints": "never" if bars else "auto",
        "spanNulls": not bars,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if len(more.get("steps", ())) > 1 else "off"},
    }
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    size = {"width": 12, "height": 8} | more
    return Panel(
        panel_id, "timeseries", title, description, unit, sql, "time_series", options=options, custom=custom, **size
    )


def stat(panel_id: int, title: str, description: str, unit: str, sql: str, **more: Any) -> Panel:
    """One number or word, as it is now."""
    options = {
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "/.*/", "values": False},
        "textMode": "value",
    }
    size = {"width": 6, "height": 4} | more
    return Panel(panel_id, "stat", title, description, unit, sql, "table", options=options, **size)


def table(panel_id: int, title: str, description: str, unit: str, sql: str, **more: Any) -> Panel:
    """Rows as the query gives them; `columns` name the units of fields that are not of the panel's."""
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False}
    options = {"showHeader": True, "cellHeight": "sm"}
    size = {"width": 12, "height": 8} | more
    return Panel(panel_id, "table", title, description, unit, sql, "table", options=options, custom=custom, **size)


def bar_chart(panel_id: int, title: str, description: str, unit: str, sql: str, *, x: str, **more: Any) -> Panel:
    """Bars side by side for each value of the column `x`, which is text."""
    custom = {"lineWidth": 1, "fillOpacity": 70}
    options = {
        "xField": x,
        "orientation": "vertical",
        "stacking": "none",
        "showValue": "auto",
        "groupWidth": 0.7,
        "barWidth": 0.9,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    size = {"width": 12, "height": 8} | more
    return Panel(panel_id, "barchart", title, description, unit, sql, "table", options=options, custom=custom, **size)


def status_history(panel_id: int, title: str, description: str, unit: str, sql: str, **more: Any) -> Panel:
    """One line of coloured fields a series: a heat map with names."""
    custom = {"lineWidth": 0, "fillOpacity": 80}
    options = {
        "rowHeight": 0.9,
        "colWidth": 0.9,
        "showValue": "never",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    size = {"width": 24, "height": 11} | more
    return Panel(
        panel_id, "status-history", title, description, unit, sql, "time_series", options=options, custom=custom, **size
    )


def _target(sql: str, format_: Format) -> Json:
    return {
        "refId": "A",
        "datasource": DATASOURCE,
        "editorMode": "code",
        "format": format_,
        "rawQuery": True,
        "rawSql": sql.strip(),
    }
