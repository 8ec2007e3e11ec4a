"""Land today's extract from a query, so that everything behind it is the same door as for a delivered file."""

import csv
import gzip
import io
import tempfile
from contextlib import closing
from datetime import date
from pathlib import Path

from churn.core.extract_text import read_header
from churn.db.source_query import SourceQuery
from churn.errors import ConfigurationError, ExtractRefused, SourceUnusable
from churn.services import Services


def land_extract(services: Services, snapshot_date: date, keep_existing: bool = False) -> str:
    """Read the query and put its rows into the landing place as customers-<date>.csv.gz; return its URL.

    The same rows in the same order are the same file, which is left as it is. With `keep_existing` nothing is read
    where the file of the day lies there. Raises ConfigurationError where no query is configured or its columns are
    not the contract's, SourceUnusable where it gives no rows, and AlreadyLanded where the file of the day lies there
    with other content.
    """
    if services.source is None:
        raise ConfigurationError("No query is configured.", "Set CHURN_LANDING_QUERY and CHURN_LANDING_QUERY_URL.")
    name = f"customers-{snapshot_date.isoformat()}.csv.gz"
    if keep_existing and services.landing.has(name):
        return services.landing.url_of_name(name)
    with tempfile.TemporaryDirectory(prefix="churn-land-") as folder:
        whole = Path(folder) / name
        _write(services.source, snapshot_date, whole)
        return services.landing.put(whole)


def _write(source: SourceQuery, snapshot_date: date, path: Path) -> None:
    # Without name and time in it, equal rows are equal bytes.
    with (
        closing(source.rows(snapshot_date)) as rows,
        path.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as zipped,
        io.TextIOWrapper(zipped, encoding="utf-8", newline="") as text,
    ):
        header = next(rows)
        _require_contract(header)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        row_count = 0
        for row in rows:
            writer.writerow(row)
            row_count += 1
    if row_count == 0:
        raise SourceUnusable(f"The query gives no rows for {snapshot_date}.", "Run it by hand and correct it.")


def _require_contract(header: list[str]) -> None:
    line = io.StringIO()
    csv.writer(line).writerow(header)
    try:
        read_header(line.getvalue().encode())
    except ExtractRefused as refusal:
        raise ConfigurationError(
            f"The columns of the query are not the contract's. {refusal.message}",
            "Name them in CHURN_LANDING_QUERY as docs/data.md does.",
        ) from refusal
