"""Landing extracts, validating them and looking at what is in the database then."""

import signal
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import s3fs

from churn.db.database import Database
from churn.jobs.validate_customers import validate_customers
from churn.records import ExtractOutcome
from churn.services import Services
from churn.settings import Settings
from tests.conftest import TestDatabase
from tests.factories import NAMES, write_extract

Put = Callable[[str, bytes], object]

# Fresh, whenever this runs.
NEXT_DAY = datetime.now(UTC).date()
DAY, DAY_BEFORE = NEXT_DAY - timedelta(days=1), NEXT_DAY - timedelta(days=2)


def open_services(database: Database, folder: Path, landing_url: str | None = None) -> Services:
    """The real services on a database, with landing place and reports in a folder of their own."""
    landing = folder / "landing"
    landing.mkdir(exist_ok=True)
    return Services.from_settings(
        Settings(
            database_url=database.url,
            MLFLOW_TRACKING_URI="http://127.0.0.1:1",  # nothing here may ask for a model
            landing_url=landing_url or str(landing),
            reports_dir=folder / "reports",
            notify_urls=None,
        )
    )


def landing_place(request: pytest.FixtureRequest, database: Database, folder: Path) -> tuple[Services, Put]:
    """Services over an empty landing place, a folder or S3 as the fixture's parameter says, and a way to put files."""
    if request.param == "folder":
        services = open_services(database, folder)
        return services, lambda name, content: Path(services.landing.url, name).write_bytes(content)
    bucket: s3fs.S3FileSystem = request.getfixturevalue("s3_bucket")
    services = open_services(database, folder, landing_url="s3://landing/extracts")
    return services, lambda name, content: bucket.pipe(f"{services.landing.url}/{name}", content)


def land(services: Services, day: date, rows: list[dict[str, str]], columns: tuple[str, ...] = NAMES) -> Path:
    return write_extract(Path(services.landing.url_of(day)), rows, columns)


def land_bytes(services: Services, day: date, content: bytes) -> None:
    Path(services.landing.url_of(day)).write_bytes(content)


def validate_one(services: Services) -> ExtractOutcome:
    (outcome,) = validate_customers(services)
    return outcome


def customers(database: Database) -> list[dict[str, object]]:
    with database.transaction() as connection:
        return connection.execute("SELECT * FROM churn.customers ORDER BY customer_id").fetchall()


def history_counts(database: Database) -> dict[int, int]:
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT extract_id, count(*) AS row_count FROM churn.customer_history GROUP BY extract_id"
        ).fetchall()
    return {row["extract_id"]: row["row_count"] for row in rows}


def every_row(database: Database) -> str:
    """A fingerprint of every customer row that ever was, and of which ones are current."""
    statement = (
        "SELECT md5(string_agg(history::text, '|' ORDER BY extract_id, customer_id)) AS print,"
        " (SELECT current_extract::text FROM churn.current_extract) AS pointer"
        " FROM churn.customer_history AS history"
    )
    with database.transaction() as connection:
        return str(connection.execute(statement).fetchone())


def require_accounted_for(outcome: ExtractOutcome, row_count: int) -> None:
    """I8: rows in the file = admitted + quarantined."""
    extract = outcome.extract
    assert extract.state == "admitted"
    assert extract.row_count == row_count == (extract.admitted_count or 0) + (extract.quarantined_count or 0)


def wait_until_blocked(database: TestDatabase, process: BaseProcess, seconds: float = 180) -> None:
    """Wait until a statement of the pipeline waits for a table."""
    statement = (
        "SELECT FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND usename = 'churn_pipeline' AND datname = current_database()"
    )
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.is_alive():
        with database.as_role("postgres").transaction() as connection:
            if connection.execute(statement).fetchall():
                return
        time.sleep(0.1)
    pytest.fail("the validation never came to the step that was to be blocked")


def kill_where_it_waits(database: TestDatabase, process: BaseProcess) -> None:
    """End a process with SIGKILL once a statement of it waits for a table."""
    try:
        wait_until_blocked(database, process)
    finally:
        process.kill()
        process.join(10)
    assert process.exitcode == -signal.SIGKILL
