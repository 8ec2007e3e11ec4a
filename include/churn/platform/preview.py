"""A verdict on a file without the project's database: the same job on a server that lives as long as the question."""

import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from churn.db import quarantined_rows
from churn.db.database import Database
from churn.db.migrations import migrate, set_password
from churn.db.quarantined_rows import QuarantinedRow
from churn.jobs.validate_customers import validate_customers
from churn.notify import Notifier
from churn.platform.ports import LOOPBACK, free_port
from churn.platform.postgres import EmbeddedPostgres, create_database
from churn.records import ExtractOutcome, Notice
from churn.services import Services
from churn.settings import Settings

ROLE = "churn_pipeline"
_FIRST_PORT = 40_000
_NOTHING_LISTENS = f"http://{LOOPBACK}:1"  # a validation asks for no model
# Nothing here outlives the question, so nothing has to survive a crash.
_CONFIGURATION = "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\n"


@dataclass(frozen=True)
class Preview:
    """What the door would decide about a file; `rows` are the first that it would quarantine, `page` its data docs."""

    outcome: ExtractOutcome
    rows: tuple[QuarantinedRow, ...]
    page: Path | None

    @property
    def is_refused(self) -> bool:
        """Whether the whole file would be refused."""
        return self.outcome.extract.state == "refused"

    def told_rows(self) -> list[dict[str, Any]]:
        """The rows by line, with every reason."""
        return [{"line_number": row.line_number, "reasons": list(row.reasons)} for row in self.rows]

    def summary(self) -> dict[str, Any]:
        """One row for people."""
        extract = self.outcome.extract
        return {
            "file": extract.source_url,
            "snapshot_date": extract.snapshot_date,
            "verdict": "would be refused" if self.is_refused else "would be admitted",
            "rows": extract.row_count,
            "admitted": extract.admitted_count,
            "quarantined": extract.quarantined_count,
            "note": self.outcome.note,
            "page": self.page,
            "warnings": "\n".join(self.outcome.warnings) or None,
            "judged": "on its own, without comparison with earlier extracts",
        }


def preview_extract(settings: Settings, file: str, row_limit: int, reports: Path | None = None) -> Preview:
    """Judge a file as `validate_customers` would, and leave nothing behind but its page in `reports` where given.

    Raises ExtractRefused where its name or place is such that nothing would be judged.
    """
    with _scratch_folder() as folder, _scratch_database(folder) as database:
        services = Services.from_settings(_scratch_settings(settings, folder, reports), database)
        services = replace(services, notifier=_Nobody())
        (outcome,) = validate_customers(services, file)
        with database.transaction() as connection:
            rows = quarantined_rows.first(connection, outcome.extract.extract_id, row_limit)
    page = reports.resolve() / outcome.data_docs if reports and outcome.data_docs else None
    return Preview(outcome, tuple(rows), page)


class _Nobody(Notifier):
    """Tells nobody: nothing has happened."""

    def send(self, notice: Notice) -> bool:
        """Take the notice."""
        return True


def _scratch_settings(settings: Settings, folder: Path, reports: Path | None) -> Settings:
    """Nothing of the project but its policy, its suites, and the landing place that a bare name lies in."""
    private = folder / "reports"
    private.mkdir(mode=0o700)
    return settings.model_copy(
        update={
            "mlflow_tracking_uri": _NOTHING_LISTENS,
            "notify_urls": None,
            "landing_query": None,
            "reports_dir": reports.resolve() if reports else private,
            "reports_url": None,
        }
    )


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="churn-preview-"))
    folder.chmod(0o711)  # the server may run as another OS user; what lies within is closed to others
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _scratch_database(folder: Path) -> Iterator[Database]:
    """A migrated database on a server of its own, as the pipeline's role; gone at the end, also when told to end."""
    server, password = EmbeddedPostgres.under(folder), secrets.token_urlsafe(24)
    with _ended_by_exception(signal.SIGTERM, signal.SIGHUP):
        try:
            server.initialise(password)
            with (server.data / "postgresql.auto.conf").open("a") as configuration:
                configuration.write(_CONFIGURATION)
            port = free_port(_FIRST_PORT + secrets.randbelow(10_000))
            server.start(port, server.data / "server.log")
            yield _migrated(port, password)
        finally:
            if (server.data / "postmaster.pid").exists():
                server.stop()
            shutil.rmtree(server.data, ignore_errors=True)


def _migrated(port: int, password: str) -> Database:
    create_database(_url(port, "postgres", password, "postgres"), "churn")
    admin = Database(_url(port, "postgres", password, "churn"))
    migrate(admin)
    set_password(admin, ROLE, password)
    return Database(_url(port, ROLE, password, "churn"))


def _url(port: int, role: str, password: str, name: str) -> str:
    return f"postgresql://{role}:{password}@{LOOPBACK}:{port}/{name}"


@contextmanager
def _ended_by_exception(*signals: signal.Signals) -> Iterator[None]:
    """Let these signals unwind the stack like Ctrl-C, so that the server is stopped on the way."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {each: signal.signal(each, end) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
