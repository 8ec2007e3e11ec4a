"""Take the README's pictures from the running platform: `make screenshots`."""

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from churn.platform.addresses import platform_environment
from churn.settings import Settings

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SIZE = {"width": 1360, "height": 800}
PAGE_SIZE = {"width": 1360, "height": 1000}
INVENTED = {"Contract": "Month-to-month", "PaymentMethod": "Electronic check", "InternetService": "Fiber optic",
            "OnlineSecurity": "No", "TechSupport": "No", "PaperlessBilling": "Yes", "PhoneService": "Yes"}  # fmt: skip
INVENTED_NUMBERS = {"tenure": "4", "MonthlyCharges": "89.5", "TotalCharges": "358"}


def main(folder: Path) -> None:
    """Write one PNG a page into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    where = platform_environment(Settings())
    airflow, mlflow = where["AIRFLOW_URL"], where["MLFLOW_TRACKING_URI"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = browser.new_page(viewport=SIZE)
        # MLflow opens a panel of its own over the page at the first visit.
        page.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
        page.goto(f"{airflow}/auth/login")
        page.locator("input[name=username]").fill(where["AIRFLOW_USER"])
        page.locator("input[name=password]").fill(where["AIRFLOW_PASSWORD"])
        page.locator("button[type=submit]").click()
        page.get_by_role("link", name="Assets").wait_for()
        take(page, f"{airflow}/dags", folder / "airflow-dags.png", "score_customers")
        page.goto(f"{airflow}/churn/reports/")
        newest = page.locator("a[href*='drift/']").first.get_attribute("href") or ""
        take(page, page.evaluate("href => new URL(href, location.href).href", newest), folder / "drift.png", "Drift")
        take(page, f"{mlflow}/#/models/churn", folder / "mlflow-model.png", "production")
        take_the_page(browser.new_page(viewport=PAGE_SIZE), where["CHURN_API_URL"], folder / "page.png")
        browser.close()


def take_the_page(page: Page, url: str, path: Path) -> None:
    """The answer to an invented customer, and what another contract does to it."""
    page.goto(url)
    for name, choice in INVENTED.items():
        page.locator(f"#field-{name}").select_option(choice)
    for name, number in INVENTED_NUMBERS.items():
        page.locator(f"#field-{name}").fill(number)
    page.get_by_role("button", name="Show the risk").click()
    page.locator("#field-Contract").select_option("One year")
    page.locator("#before").wait_for()
    page.evaluate("document.activeElement.blur()")
    page.screenshot(path=path)
    sys.stdout.write(f"{path}\n")


def take(page: Page, url: str, path: Path, text: str) -> None:
    """Open a page, wait until it shows `text`, and keep what a person would see."""
    page.goto(url)
    page.get_by_text(text, exact=False).first.wait_for(timeout=60_000)
    page.evaluate("document.fonts.ready")
    page.screenshot(path=path)
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
