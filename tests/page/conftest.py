"""A browser at the page of the API under gunicorn, beside two published nights: one site open, one with keys."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from churn.jobs.score_customers import score_customers
from churn.platform.ports import LOOPBACK
from churn.settings import PROJECT
from tests.api.callers import issue
from tests.api.conftest import night_template as night_template  # a fixture of this suite too
from tests.api.conftest import services_of
from tests.conftest import TestDatabase, TestMlflow, TestServer
from tests.jobs import DAY, admit_simulated, promote_model
from tests.server import Server, random_free_port

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what needs a key
AXE = PROJECT / ".axe/node_modules/axe-core/axe.min.js"


@dataclass
class Site:
    """The API under gunicorn and the database beside it."""

    server: Server
    database: TestDatabase

    @property
    def url(self) -> str:
        return self.server.url


@dataclass
class Watch:
    """What a browser did beside what a person sees."""

    origin: str
    strangers: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def request(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self.strangers.append(request.url)

    def console(self, message: ConsoleMessage) -> None:
        is_a_page = "Failed to load resource" in message.text  # an answer of 4xx
        if message.type in ("error", "warning") and not is_a_page:
            self.complaints.append(message.text)


Visit = Callable[..., Page]


@pytest.fixture(scope="session")
def two_nights(
    postgres: TestServer, night_template: str, mlflow_server: TestMlflow, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Two published nights of 300 simulated customers, whose model is Production: to be copied, nobody stays in it."""
    found = postgres.copy(night_template, "churn_page_nights")
    services = services_of(found, mlflow_server, tmp_path_factory.mktemp("page"))
    promote_model(services)
    admit_simulated(services, 300, day=DAY + timedelta(days=1), seed=2)
    score_customers(services)
    return found.name


@pytest.fixture(scope="session")
def database(postgres: TestServer, two_nights: str) -> TestDatabase:
    """The database behind the site where no key was ever made."""
    return postgres.copy(two_nights, "churn_page")


@pytest.fixture(scope="session")
def site(database: TestDatabase, mlflow_server: TestMlflow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The API where no key was ever made."""
    yield from serve(database, mlflow_server, tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def guarded(
    postgres: TestServer, two_nights: str, mlflow_server: TestMlflow, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The API over a database of its own with a key, beyond loopback, with a secret that is set."""
    own = postgres.copy(two_nights, "churn_page_guarded")
    issue(own.as_role("churn_pipeline"), "first")
    folder = tmp_path_factory.mktemp("guarded")
    yield from serve(own, mlflow_server, folder, EVERYWHERE, CHURN_API_SESSION_SECRET=secrets.token_urlsafe(48))


def serve(
    database: TestDatabase, mlflow: TestMlflow, folder: Path, host: str = LOOPBACK, **environment: str
) -> Iterator[Site]:
    """The API as it is deployed, with two workers."""
    port = random_free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn.conf.py"]
    settings = {
        "CHURN_API_BIND": f"{host}:{port}",
        "CHURN_MLFLOW_TRACKING_URI": mlflow.server.url,
        "CHURN_API_DATABASE_URL": database.as_role("churn_api").url,
    }
    server = Server(command, f"http://{LOOPBACK}:{port}", folder / "api.log", settings | environment)
    try:
        yield Site(server.start("/ready"), database)
    finally:
        server.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, which sends nothing of its own."""
    path = os.environ.get("CHURN_CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Open a page in a fresh profile; at the end nothing may have left the origin or broken the content policy."""
    watches, contexts = [], []

    def opened(url: str, viewport: Any = DESKTOP, **options: Any) -> Page:
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        watch = Watch("/".join(url.split("/")[:3]))
        watches.append(watch)
        page.on("request", watch.request)
        page.on("console", watch.console)
        page.on("pageerror", lambda error: watch.complaints.append(str(error)))
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [watch.strangers for watch in watches if watch.strangers] == []
    assert [watch.complaints for watch in watches if watch.complaints] == []


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A file of four customers, one of which breaks the contract and one of which would run in a spreadsheet."""
    path = tmp_path / "customers.csv"
    path.write_text(
        "customerID,tenure,MonthlyCharges,Contract,TotalCharges,Churn\n"
        "A-1,12,70.5,Month-to-month,840,Yes\n"
        "A-2,sixty,20,Two year,1200,No\n"
        '"=HYPERLINK(""http://example.invalid"")",3,99.9,One year,,No\n'
        "A-4,-5,@SUM(1),Two year,+1,No\n"
    )
    return path
