"""`churn quarantine ...`: rows that were not admitted, why, and the way back for those that were corrected."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from churn.console import AsJson, open_services, show
from churn.errors import ConfigurationError

quarantine_app = typer.Typer(no_args_is_help=True, help="Rows that were not admitted: look, correct, release.")

ExtractId = Annotated[int, typer.Argument(metavar="EXTRACT", help="Number of the extract.", min=1)]


@quarantine_app.command("list")
def quarantine_list(
    extract_id: Annotated[
        int | None,
        typer.Argument(metavar="[EXTRACT]", help="Number of an extract; all that have rows where left out.", min=1),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 50,
    released: Annotated[bool, typer.Option("--released", help="The rows that were released instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """List quarantined rows with every reason; without an extract, the extracts that have some."""
    from churn.db import extracts, quarantined_rows

    with open_services().database.transaction() as connection:
        if extract_id is None:
            found = [asdict(each) for each in quarantined_rows.of_extracts(connection, limit, released)]
        else:
            extracts.get(connection, extract_id)
            found = [_row(row, as_json) for row in quarantined_rows.first(connection, extract_id, limit, released)]
    show("Extracts" if extract_id is None else "Released rows" if released else "Quarantined rows", found, as_json)


@quarantine_app.command("show")
def quarantine_show(
    extract_id: ExtractId,
    line_number: Annotated[int, typer.Argument(metavar="LINE", help="The row's line; the header is 1.", min=2)],
    as_json: AsJson = False,
) -> None:
    """Show one row as it was delivered, each of its fields, every reason, and whether it was released."""
    from churn.db import quarantined_rows

    with open_services().database.transaction() as connection:
        row = quarantined_rows.get(connection, extract_id, line_number)
    if as_json:
        show("", [{"extract_id": extract_id} | asdict(row)], as_json)
        return
    facts = {
        "extract_id": extract_id,
        "line_number": row.line_number,
        "reasons": "\n".join(row.reasons),
        "delivered": None if row.raw_text is None else printable(row.raw_text),
        "released": f"{row.released_at:%Y-%m-%d %H:%M %Z} by {row.released_by}" if row.released_at else "no",
    }
    released = row.released_values or {}
    fields = {name: _corrected(value, released.get(name, value)) for name, value in row.raw_values.items()}
    show(f"Line {line_number} of extract {extract_id}", [facts | fields], as_json)


@quarantine_app.command("export")
def quarantine_export(extract_id: ExtractId) -> None:
    """Print the quarantined rows of an extract as CSV, to be corrected and released; `reasons` is for the reader."""
    from churn.db import extracts, quarantined_rows

    with open_services().database.transaction() as connection:
        extracts.get(connection, extract_id)
        for block in quarantined_rows.export(connection, extract_id):
            sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


@quarantine_app.command("release")
def quarantine_release(
    extract_id: ExtractId,
    file: Annotated[Path, typer.Argument(help="CSV of corrected rows, as `export` prints it.")],
    as_json: AsJson = False,
) -> None:
    """Admit corrected rows into their extract through the same rules, all of them or none."""
    from churn.jobs.release_rows import release_rows

    if not file.is_file():
        raise ConfigurationError(f"There is no file {file}.", "Write one with `churn quarantine export EXTRACT`.")
    show("Released", [release_rows(open_services(), extract_id, file).summary()], as_json)


def printable(text: str) -> str:
    """The text with what a terminal would obey, or not show, written as an escape."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _row(row: Any, as_json: bool) -> dict[str, Any]:
    from churn.columns import KEY

    key = row.raw_values.get(KEY.name)
    return {
        "line_number": row.line_number,
        "customer": key if as_json or key is None else printable(key),
        "reasons": list(row.reasons) if as_json else "\n".join(row.reasons),
        **({"released_by": row.released_by, "released_at": row.released_at} if row.released_at else {}),
    }


def _corrected(delivered: str | None, released: str | None) -> str:
    shown = [printable(each or "") for each in dict.fromkeys((delivered, released))]
    return " -> ".join(shown)
