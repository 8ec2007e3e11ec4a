"""Corrected rows on their way out of quarantine: staged as text, judged by the rules of the door, admitted whole."""

import psycopg
from psycopg import sql

from churn.columns import COLUMNS, KEY
from churn.core.extract_text import ExtractText
from churn.db import extracts, row_rules
from churn.db.database import Connection, query
from churn.errors import ExtractRefused, NotFound, ReleaseRefused
from churn.records import Extract

LINE_NUMBER = "line_number"
SHOWN_COUNT = 20
_NEXT_STEP = "Correct the file and release it again; what is in it is released whole or not at all."


def stage(connection: Connection, text: ExtractText) -> None:
    """Copy a file of corrected rows to a table of this transaction, which ends with `drop`.

    Its header is that of an extract with a column line_number. Raises ReleaseRefused where it is not, or where the
    file cannot be read.
    """
    try:
        header = text.header
    except ExtractRefused as refused:
        raise ReleaseRefused(refused.message, _NEXT_STEP) from refused
    if LINE_NUMBER not in header.names:
        raise ReleaseRefused(
            f"The file has no column {LINE_NUMBER} that says which quarantined row each of its rows corrects.",
            "Start from what `churn quarantine export EXTRACT` prints.",
        )
    ignored = {name: f"ignored_{position}" for position, name in enumerate(header.added) if name != LINE_NUMBER}
    names = [sql.Identifier(ignored.get(name, name)) for name in header.names]
    columns = [*(column.name for column in COLUMNS), *ignored.values()]
    connection.execute(
        sql.SQL(query("create_released_rows")).format(
            columns=sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(name)) for name in columns)
        )
    )
    statement = sql.SQL("COPY staging.released_rows ({}) FROM STDIN (FORMAT csv, HEADER true, ENCODING 'UTF8')")
    try:
        with connection.cursor().copy(statement.format(sql.SQL(", ").join(names))) as copy:
            for chunk in text.chunks():
                copy.write(chunk)
    except (psycopg.DataError, psycopg.errors.ProgramLimitExceeded) as error:
        raise ReleaseRefused(f"The file cannot be read: {error.diag.message_primary}.", _NEXT_STEP) from error
    for name in ignored.values():
        connection.execute(sql.SQL("ALTER TABLE staging.released_rows DROP COLUMN {}").format(sql.Identifier(name)))
    connection.execute("ANALYZE staging.released_rows")


def require_releasable(connection: Connection, extract: Extract) -> None:
    """Raise ReleaseRefused naming the rows that break a rule, name no row in quarantine, or whose key is taken."""
    statement = sql.SQL(query("list_unreleasable_rows")).format(
        key=sql.Identifier(KEY.name),
        key_name=sql.Literal(KEY.name),
        is_admissible=row_rules.is_admissible(),
        reasons=row_rules.reasons(),
    )
    rows = connection.execute(statement, {"extract_id": extract.extract_id, "limit": SHOWN_COUNT}).fetchall()
    if not rows:
        return
    told = "; ".join(
        f"row {row['record_number']} (line_number {row['line_number']}): {', '.join(row['reasons'])}" for row in rows
    )
    more = rows[0]["unreleasable_count"] - len(rows)
    raise ReleaseRefused(
        f"{rows[0]['unreleasable_count']} rows cannot be released, so none was: {told}"
        + (f"; and {more} more." if more else "."),
        _NEXT_STEP,
    )


def lock(connection: Connection, extract: Extract) -> None:
    """Hold the extract's counts for this transaction. Raises NotFound where there is no such extract."""
    if connection.execute(query("lock_extract"), {"extract_id": extract.extract_id}).rowcount != 1:
        raise NotFound(f"There is no extract {extract.extract_id}.", "List them with `churn quarantine list`.")


def admit(connection: Connection, extract: Extract) -> Extract:
    """Admit every staged row into the extract's history; return the extract with its counts moved."""
    named = {"extract_id": extract.extract_id, "snapshot_date": extract.snapshot_date}
    statement = sql.SQL(query("release_rows")).format(
        target_columns=row_rules.target_columns(), admitted_values=row_rules.admitted_values()
    )
    admitted_count = connection.execute(statement, named).rowcount
    released_count = connection.execute(query("mark_rows_released"), named).rowcount
    if not admitted_count or released_count != admitted_count:
        raise ReleaseRefused(
            f"{admitted_count} rows were corrected and {released_count} are in quarantine for them.", _NEXT_STEP
        )
    connection.execute(query("move_released_count"), {**named, "released_count": released_count})
    return extracts.get(connection, extract.extract_id)


def drop(connection: Connection) -> None:
    """Remove the table of this transaction."""
    connection.execute("DROP TABLE staging.released_rows")
