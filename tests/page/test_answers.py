"""What the page says is what the API says: of a form, of a customer by id, of a change and of a file."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from churn.columns import FEATURES, KEY
from churn_api.batch_rows import COLUMNS
from churn_api.page.form import label_of
from tests.api.callers import logged, wait_until
from tests.page.conftest import PHONE, Site, Visit

GIVEN = {"tenure": 12, "MonthlyCharges": 70.5, "Contract": "Month-to-month", "PaymentMethod": "Electronic check"}


def predict(site: Site, body: dict[str, Any]) -> dict[str, Any]:
    answer = requests.post(f"{site.url}/v1/predict", json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def fill(page: Page, body: dict[str, Any]) -> None:
    for name, value in body.items():
        field = page.locator(f"#field-{name}")
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(str(value))
        else:
            field.fill(str(value))


def number(page: Page, which: str = "probability") -> float:
    return float(page.locator(f"#{which}").get_attribute("value") or "nan")


def said(page: Page) -> dict[str, Any]:
    """The answer on the page, as the API names its parts."""
    return {
        "churn_probability": number(page),
        "decile": int(page.locator("#decile").inner_text()),
        "reasons": page.locator("#reasons li").all_inner_texts(),
        "model_version": int(page.locator("#version").inner_text()),
    }


def customers_at_risk(site: Site) -> list[str]:
    """The ids of the newest published run, the highest risk first."""
    with site.database.as_role("churn_api").transaction() as connection:
        rows = connection.execute(
            "SELECT customer_id FROM serving.published_scores WHERE is_current ORDER BY churn_probability DESC"
        ).fetchall()
    return [row["customer_id"] for row in rows]


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_the_form_gets_the_answer_of_the_api(site: Site, visit: Visit, script: bool) -> None:
    page = visit(site.url, java_script_enabled=script)
    fill(page, GIVEN)
    page.get_by_role("button", name="Show the risk").click()
    answer = predict(site, GIVEN)
    assert said(page) == {name: answer[name] for name in said(page)}
    expect(page.locator("#action")).to_have_text(answer["recommended_action"]["words"] + ".")
    assert page.locator("#unknown span").inner_text() == ", ".join(map(label_of, answer["unknown_fields"]))
    expect(page.get_by_role("img", name=f"{answer['risk_level']} risk.")).to_be_visible()
    assert page.locator("#field-MonthlyCharges").input_value() == "70.5"


def test_every_column_of_the_contract_is_an_input(site: Site, visit: Visit) -> None:
    page = visit(site.url)
    for column in FEATURES:
        offered = page.locator(f"#field-{column.name} option").evaluate_all("all => all.map(each => each.value)")
        if column.categories:
            assert offered == ["", *column.categories]


def test_a_customer_is_shown_as_published_with_the_fields_that_were_scored(site: Site, visit: Visit) -> None:
    for customer_id in customers_at_risk(site)[::60]:
        published = requests.get(f"{site.url}/v1/customers/{customer_id}/score", timeout=10).json()
        page = visit(site.url)
        page.get_by_label("Customer id").fill(customer_id)
        page.get_by_role("button", name="Look up").click()
        assert said(page) == {name: published["score"][name] for name in said(page)}
        rows = page.get_by_role("region", name="Published nights").locator("tbody tr")
        shares = [f"{row['churn_probability']:.1%}" for row in published["history"]]
        assert [row.locator("td").first.inner_text() for row in rows.all()] == shares
        assert len(shares) == 2
        texts = {name: page.locator(f"#field-{name}").input_value() for name in ("tenure", "MonthlyCharges")}
        body = {column.name: page.locator(f"#field-{column.name}").input_value() for column in FEATURES}
        numbers = {column.name: float(body[column.name]) for column in FEATURES if column.is_number}
        assert predict(site, body | numbers)["churn_probability"] == published["score"]["churn_probability"]
        assert texts["tenure"].isdigit()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_change_shows_both_numbers_and_moves_the_mark(site: Site, visit: Visit, script: bool) -> None:
    page = visit(site.url, java_script_enabled=script)
    fill(page, GIVEN)
    page.get_by_role("button", name="Show the risk").click()
    fill(page, {"Contract": "Two year", "MonthlyCharges": 40})
    if not script:
        page.get_by_role("button", name="Show what changes").click()
    expect(page.locator("#before")).to_be_visible()
    changed = predict(site, GIVEN | {"Contract": "Two year", "MonthlyCharges": 40})["churn_probability"]
    expect(page.locator("#probability")).to_have_attribute("value", str(changed))
    assert number(page, "before") == predict(site, GIVEN)["churn_probability"] > changed
    expect(page.get_by_role("img", name="Before the change it was")).to_be_visible()
    if script:
        expect(page.get_by_role("status")).to_contain_text("points")
    page.get_by_role("button", name="Begin from these values").click()
    expect(page.locator("#before")).to_have_count(0)
    assert number(page) == changed


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_an_offer_that_would_help_is_tried_by_its_button(site: Site, visit: Visit, script: bool) -> None:
    page = visit(f"{site.url}/?customer={customers_at_risk(site)[5]}", java_script_enabled=script)
    before = number(page)
    offer = page.locator(".effects button").first
    promised = offer.locator(".effect-change").inner_text().split("%")[0]
    offer.click()
    expect(page.locator("#before")).to_be_visible()
    assert number(page, "before") == before
    assert f"{number(page):.1%}" == f"{promised}%"
    assert number(page) < before


def test_what_is_wrong_is_named_beside_the_field_and_nothing_typed_is_lost(site: Site, visit: Visit) -> None:
    page = visit(site.url)
    fill(page, GIVEN | {"tenure": "a year", "MonthlyCharges": "70,5"})
    page.get_by_role("button", name="Show the risk").click()
    expect(page).to_have_title("Error: Churn risk")
    problem = page.locator("#problem")
    expect(problem).to_be_focused()
    problem.get_by_role("link", name="Months as a customer is not a whole number from 0 to 600.").click()
    field = page.locator("#field-tenure")
    expect(field).to_be_focused()
    expect(field).to_have_value("a year")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#field-MonthlyCharges")).to_have_value("70,5")
    expect(page.locator("#field-Contract")).to_have_value("Month-to-month")
    fill(page, GIVEN)
    page.get_by_role("button", name="Show the risk").click()
    assert number(page) == predict(site, GIVEN)["churn_probability"]


def test_an_empty_form_and_an_unknown_id_say_what_to_do(site: Site, visit: Visit) -> None:
    page = visit(site.url)
    page.get_by_role("button", name="Show the risk").click()
    expect(page.locator("#problem")).to_contain_text("Fill in at least one field.")
    page.get_by_label("Customer id").fill("nobody")
    page.get_by_role("button", name="Look up").click()
    expect(page.locator("#problem")).to_contain_text("No published night knows a customer with the id nobody.")
    expect(page.get_by_label("Customer id")).to_have_value("nobody")


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "by the page"])
def test_a_file_comes_back_with_the_answers_of_the_batch_endpoint(
    site: Site, visit: Visit, table: Path, at_once: bool
) -> None:
    page = visit(site.url, PHONE)
    page.set_input_files("#field-file", table)
    if not at_once:
        page.get_by_role("button", name="Score the file").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("2 customers scored, 2 rows refused")
        expect(page.locator("tr", has_text="A-2")).to_contain_text("tenure is not a whole number from 0 to 600.")
    with page.expect_download() as download:
        page.get_by_role(*(("button",) if at_once else ("link",)), name="download").click()
    assert download.value.suggested_filename == "churn-scores.csv"
    text = Path(download.value.path()).read_text("utf-8-sig")
    headers = {"Content-Type": "text/csv"}
    batch = requests.post(f"{site.url}/v1/predict/batch", data=table.read_bytes(), headers=headers, timeout=10).text
    given, answered = list(csv.DictReader(io.StringIO(text))), list(csv.DictReader(io.StringIO(batch)))
    told = [name for name in COLUMNS if name != "customer_id"]
    assert [[row[name] for name in told] for row in given] == [[row[name] for name in told] for row in answered]
    assert [row["status"] for row in given] == ["scored", "refused", "scored", "refused"]
    assert given[0][KEY.name] == "A-1"
    cells = [cell for line in csv.reader(io.StringIO(text)) for cell in line]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []
    assert {'\'=HYPERLINK("http://example.invalid")', "'-5", "'@SUM(1)", "'+1"} <= set(cells)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"", "The body is empty."),
        ("a.csv", b"tenure;Contract\n1;One year\n", "The columns are not divided by commas."),
        ("a.xlsx", b"PK\x03\x04" + b"\0" * 50, "The file is a workbook, not CSV."),
        ("a.csv", b"tenur,Contract\n1,One year\n", "Did you mean tenure?"),
        ("a.csv", b"tenure,Contract\n", "The batch has no customer in it."),
        ("a.csv", b"tenure\n" + b"1\n" * 10_001, "10000 are the most."),
        ("a.csv", b"tenure\n" + b"x" * (17 * 2**20), "What was sent is too large."),
    ],
    ids=["empty", "semicolons", "workbook", "misspelt", "no row", "too many rows", "too large"],
)
def test_a_file_that_is_none_is_refused_in_words(
    site: Site, visit: Visit, name: str, content: bytes, told: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    page = visit(site.url)
    page.set_input_files("#field-file", tmp_path / name)
    page.get_by_role("button", name="Score the file").click()
    expect(page.locator("#problem")).to_contain_text(told)


def test_what_the_page_answers_is_in_the_request_log_and_a_change_names_nobody(site: Site, visit: Visit) -> None:
    customer_id = customers_at_risk(site)[7]
    page = visit(f"{site.url}/?customer={customer_id}")
    fill(page, {"MonthlyCharges": 31.25})
    expect(page.locator("#before")).to_be_visible()
    page.get_by_role("button", name="Begin from these values").click()
    expect(page.locator("#before")).to_have_count(0)

    def own() -> dict[str, Any]:
        rows = [row for row in logged(site.database) if (row["inputs"] or {}).get("MonthlyCharges") == 31.25]
        return {row["route"]: row["customer_id"] for row in rows}

    wait_until(lambda: own() == {"/what-if": None, "/": customer_id})
