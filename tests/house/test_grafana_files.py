"""Grafana's files are what the code says, hang together, and agree with policy and docs."""

import re
from typing import Any

import pytest
import yaml

from churn.core.grafana import panels
from churn.policy import Policy
from churn.settings import PROJECT
from churn_grafana.__main__ import FOLDER, written
from churn_grafana.api import FAILING_FROM, SLOW_FROM_MS
from churn_grafana.dashboards import DATASOURCE_UID
from churn_grafana.operations import LATE_AFTER_SECONDS
from tests.grafana_queries import DASHBOARDS, GRAFANA, RULES, provisioned, rule_of

PANELS = [(title, panel) for title, dashboard in DASHBOARDS.items() for panel in panels(dashboard)]
POLICY = Policy()


def threshold(uid: str) -> float:
    return rule_of(uid)["data"][2]["model"]["conditions"][0]["evaluator"]["params"][0]


def test_the_files_are_what_the_code_makes() -> None:
    """`python -m churn_grafana` writes them."""
    assert {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()} == written()


def test_every_name_that_others_use_is_there_once() -> None:
    assert sorted(DASHBOARDS) == ["api", "business", "model", "operations"]
    assert len({dashboard["uid"] for dashboard in DASHBOARDS.values()}) == 4
    assert len({rule["uid"] for rule in RULES}) == len(RULES)
    for dashboard in DASHBOARDS.values():
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("title", "panel"), PANELS, ids=lambda value: value if isinstance(value, str) else value["title"]
)
def test_every_panel_says_its_unit_and_what_it_means(title: str, panel: dict[str, Any]) -> None:
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert len(panel["description"]) > 30
    assert panel["description"].endswith(".")
    assert all(len(target["rawSql"].splitlines()) <= 15 for target in panel["targets"])
    assert panel["datasource"]["uid"] == "${datasource}"
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


@pytest.mark.parametrize("title", DASHBOARDS)
def test_no_panel_lies_on_another(title: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[title]["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not taken & cells
        taken |= cells


@pytest.mark.parametrize("title", DASHBOARDS)
def test_every_dashboard_leads_to_the_others_and_to_the_other_tools(title: str) -> None:
    dashboard = DASHBOARDS[title]
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    assert [link["title"] for link in dashboard["links"]] == ["Churn", "Airflow", "MLflow"]
    assert {"airflow_url", "mlflow_url"} <= set(variables)
    assert dashboard["tags"] == ["churn"]
    assert dashboard["timezone"] == "utc"
    assert variables["datasource"]["current"]["value"] == DATASOURCE_UID


def test_the_data_source_is_the_one_that_dashboards_and_rules_name() -> None:
    (source,) = provisioned("datasources/churn.yaml")["datasources"]
    used = {node["datasourceUid"] for rule in RULES for node in rule["data"]}
    assert used == {source["uid"], "__expr__"} == {DATASOURCE_UID, "__expr__"}
    assert source["type"] == "grafana-postgresql-datasource"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["title"])
def test_every_alert_leads_to_a_panel_and_to_its_section_of_the_runbook(rule: dict[str, Any]) -> None:
    dashboards = {dashboard["uid"]: dashboard for dashboard in DASHBOARDS.values()}
    assert rule["panelId"] in {panel["id"] for panel in panels(dashboards[rule["dashboardUid"]])}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["noDataState"] in ("OK", "NoData", "Alerting", "KeepLast")
    assert rule["execErrState"] in ("OK", "Error", "Alerting", "KeepLast")
    assert re.fullmatch(r"\d+[sm]", rule["for"])
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["first_step"]
    heading, anchor = f"## {rule['title']}\n", rule["annotations"]["runbook_url"].partition("#")[2]
    assert anchor == rule["title"].lower().replace(" ", "-")
    section = (PROJECT / "docs/runbook.md").read_text("utf-8").partition(heading)[2].partition("\n## ")[0]
    for part in ("**It means**", "**Look first**", "**Then**", "**Silence it**"):
        assert part in section


def test_the_runbook_tells_of_no_alert_that_is_not_there() -> None:
    told = re.findall(r"^## (.+)$", (PROJECT / "docs/runbook.md").read_text("utf-8"), re.M)
    assert told == [rule["title"] for rule in RULES]


def test_every_variable_of_the_environment_is_in_the_docs() -> None:
    texts = [path.read_text("utf-8") for path in (GRAFANA / "provisioning").rglob("*.yaml")]
    used = {name for text in texts for name in re.findall(r"\$\{?(GRAFANA_[A-Z_]+)", text)}
    docs = (PROJECT / "docs/monitoring.md").read_text("utf-8")
    stack = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text("utf-8"))["services"]["grafana"]["environment"]
    assert used <= set(stack)
    assert used == {
        "GRAFANA_DB_HOST", "GRAFANA_DB_PORT", "GRAFANA_DB_NAME", "GRAFANA_DB_USER", "GRAFANA_DB_PASSWORD",
        "GRAFANA_DB_SSLMODE", "GRAFANA_ALERT_EMAIL", "GRAFANA_ALERT_WEBHOOK_URL", "GRAFANA_RUNBOOK_URL",
    }  # fmt: skip
    assert [name for name in sorted(used) if f"`{name}`" not in docs] == []


def test_no_address_and_no_secret_is_written_in_a_file() -> None:
    for path in (GRAFANA / "provisioning").rglob("*.yaml"):
        text = path.read_text("utf-8")
        assert not re.search(r"https?://|@[a-z]", text), path
        assert re.findall(r"password: (.*)", text) in ([], ["$GRAFANA_DB_PASSWORD"])


def test_alerts_and_panels_ask_for_what_the_policy_asks_for() -> None:
    assert threshold("churn-scores-late") == LATE_AFTER_SECONDS
    assert threshold("churn-api-errors") == FAILING_FROM
    assert threshold("churn-api-slow") == SLOW_FROM_MS == POLICY.maximum_latency_seconds * 1_000
    assert threshold("churn-customers-drifted") == POLICY.drifted_reports_needed - 1
    hourly = rule_of("churn-customers-drifted")["data"][0]["relativeTimeRange"]["from"] // 3_600
    assert hourly == POLICY.drifted_reports_of
