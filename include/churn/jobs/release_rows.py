"""Release quarantined rows: corrected by a person, judged like any other row, admitted into the same extract."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churn.core.extract_text import ExtractText
from churn.db import extracts, released_rows, scoring_runs
from churn.db.database import Connection
from churn.db.migrations import require_current_schema
from churn.errors import ReleaseRefused
from churn.jobs.validate_customers import LOCK
from churn.records import Extract
from churn.services import Services

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Release:
    """What was released into an extract; `notes` say what a person should know or do."""

    extract: Extract
    released_count: int
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """One row for people."""
        return {
            "extract_id": self.extract.extract_id,
            "snapshot_date": self.extract.snapshot_date,
            "released": self.released_count,
            "rows": self.extract.row_count,
            "admitted": self.extract.admitted_count,
            "quarantined": self.extract.quarantined_count,
            "note": "; ".join(self.notes),
        }


def release_rows(services: Services, extract_id: int, file: Path) -> Release:
    """Admit the corrected rows of a CSV file into their extract, all of them or none, in one transaction.

    Its columns are those of an extract, and line_number, which says which quarantined row each one corrects. They pass
    the same rules as every row; their key must be new to the extract.
    Raises ReleaseRefused naming every row that does not pass, and AlreadyRunning where a validation is under way.
    """
    require_current_schema(services.database)
    with (
        file.open("rb") as stream,
        services.database.lock(LOCK),
        services.database.transaction() as connection,
    ):
        before = extracts.get(connection, extract_id)
        if before.state != "admitted":
            raise ReleaseRefused(
                f"Extract {extract_id} is {before.state}; rows are released into an admitted one.",
                "Deliver the file again where it was refused.",
            )
        released_rows.lock(connection, before)
        released_rows.stage(connection, ExtractText(stream))
        released_rows.require_releasable(connection, before)
        after = released_rows.admit(connection, before)
        released_rows.drop(connection)
        notes = _notes(connection, after)
    release = Release(after, (after.admitted_count or 0) - (before.admitted_count or 0), notes)
    log.info("%s rows were released into extract %s.", release.released_count, extract_id)
    return release


def _notes(connection: Connection, extract: Extract) -> tuple[str, ...]:
    notes = []
    counting = extracts.of_date(connection, extract.snapshot_date)
    if counting.extract_id != extract.extract_id:
        notes.append(f"extract {counting.extract_id} counts for {extract.snapshot_date}, not this one")
    for run in scoring_runs.of_extract(connection, extract):
        if run.state == "published":
            notes.append(f"run {run.scoring_run_id} is published without them")
        else:
            notes.append(f"run {run.scoring_run_id} is under way without them and will not be published")
    if counting.extract_id == extract.extract_id:
        notes.append(f"score them with `churn score run --date {extract.snapshot_date}`")
    return tuple(notes)
