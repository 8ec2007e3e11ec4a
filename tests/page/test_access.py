"""Everybody can use the page: with a keyboard alone, with a screen reader, on a phone, in either colour scheme."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.api.callers import issue
from tests.page.conftest import AXE, DESKTOP, PHONE, Site, Visit
from tests.page.test_answers import GIVEN, customers_at_risk, fill, number, predict

STATES = ("start", "answer", "what-if", "error", "customer", "no customer", "file", "bad file")


def bring(page: Page, state: str, site: Site, table: Path) -> None:
    """Bring the page at its start into a state."""
    if state in ("answer", "what-if", "error"):
        fill(page, GIVEN if state != "error" else GIVEN | {"tenure": "long"})
        page.get_by_role("button", name="Show the risk").click()
        expect(page.locator("#problem" if state == "error" else "#probability")).to_be_visible()
    if state == "what-if":
        fill(page, {"Contract": "Two year"})
        expect(page.locator("#before")).to_be_visible()
    if state == "customer":
        page.goto(f"{site.url}/?customer={customers_at_risk(site)[0]}")
    if state == "no customer":
        page.goto(f"{site.url}/?customer=nobody")
    if state == "file":
        page.set_input_files("#field-file", table)
    if state in ("file", "bad file"):
        page.get_by_role("button", name="Score the file").click()
        page.locator("#download" if state == "file" else "#problem").wait_for()


def findings(page: Page) -> list[dict[str, Any]]:
    """What axe-core finds serious or critical on the page as it is now."""
    page.evaluate(AXE.read_text("utf-8"))
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert result["passes"]
    return [
        {"rule": each["id"], "nodes": [(node["target"], node["failureSummary"]) for node in each["nodes"]]}
        for each in result["violations"]
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_state_of_the_page_has_a_serious_finding_or_scrolls_sideways(
    site: Site, visit: Visit, table: Path, size: Any, scheme: str
) -> None:
    page = visit(site.url, size, color_scheme=scheme)
    found = {}
    for state in STATES:
        page.goto(site.url)
        bring(page, state, site, table)
        found[state] = findings(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], state
    assert {state: each for state, each in found.items() if each} == {}


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_sign_in_has_no_serious_finding(guarded: Site, visit: Visit, size: Any) -> None:
    issue(guarded.database.as_role("churn_pipeline"), f"axe-{size['width']}")
    page = visit(f"{guarded.url}/sign-in", size)
    assert findings(page) == []
    page.locator("#field-key").fill("churn_nothing")
    page.get_by_role("button", name="Sign in").click()
    assert findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_axe_does_find_what_is_wrong(site: Site, visit: Visit) -> None:
    page = visit(site.url)
    page.evaluate("document.querySelector('label[for=field-tenure]').remove()")
    assert "label" in [finding["rule"] for finding in findings(page)]


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus, which must be seen."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            return
    raise AssertionError(f"Tab never comes to {selector}")


def test_the_whole_journey_needs_no_mouse(site: Site, visit: Visit, tmp_path: Path) -> None:
    page = visit(site.url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    tab_to(page, "#field-customer")
    page.keyboard.type(customers_at_risk(site)[3])
    page.keyboard.press("Enter")
    expect(page.locator("#answer-title")).to_contain_text("Customer")
    page.goto(site.url)
    tab_to(page, "#field-Contract")
    page.keyboard.type("Month")
    tab_to(page, "#field-tenure")
    page.keyboard.type("12")
    tab_to(page, "#field-MonthlyCharges")
    page.keyboard.type("70.5")
    tab_to(page, "#field-PaymentMethod")
    page.keyboard.type("Elec")
    tab_to(page, "button[value=score]")
    page.keyboard.press("Enter")
    expect(page.locator("#answer-title")).to_be_focused()
    assert number(page) == predict(site, GIVEN)["churn_probability"]
    tab_to(page, ".effects button")
    offer = page.locator(".effects button").first.inner_text()
    page.keyboard.press("Enter")
    expect(page.locator("#before")).to_be_visible()
    expect(page.locator("#answer-title")).to_be_focused()  # not lost with the button that was pressed
    assert offer.split("%")[0].split()[-1] in page.get_by_role("status").inner_text()
    tab_to(page, "#field-tenure")
    page.keyboard.type("24")
    expect(page.locator("#probability")).not_to_have_attribute("value", "")
    tab_to(page, "#field-file")
    tab_to(page, "button[value=show]")
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_be_focused()


def test_the_order_of_tabs_is_the_order_of_reading(site: Site, visit: Visit) -> None:
    page = visit(site.url, PHONE)
    tops = []
    for _ in range(24):
        page.keyboard.press("Tab")
        tops.append(page.evaluate("document.activeElement.getBoundingClientRect().top + scrollY"))
    assert tops[1:] == sorted(tops[1:])


def test_motion_is_left_out_for_those_who_ask(site: Site, visit: Visit) -> None:
    page = visit(site.url, reduced_motion="reduce")
    fill(page, GIVEN)
    page.get_by_role("button", name="Show the risk").click()
    assert page.locator(".bar").evaluate("bar => getComputedStyle(bar).transitionProperty") in ("none", "all")
    assert page.locator(".bar").evaluate("bar => getComputedStyle(bar).transitionDuration") == "0s"
