"""Quarantine: each row as it was delivered, and the way back for rows that a person has corrected."""

import csv
import gzip
import io
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn.core.csv_records import pick_records
from churn.db import extracts, quarantined_rows
from churn.db.database import Database
from churn.db.quarantined_rows import QuarantinedRow
from churn.errors import AlreadyRunning, ReleaseRefused
from churn.jobs.release_rows import Release, release_rows
from churn.jobs.validate_customers import LOCK, validate_customers
from churn.records import Extract
from churn.services import Services
from tests.conftest import TestDatabase
from tests.factories import NAMES, customer_row, customer_rows, write_extract
from tests.integration.children import start
from tests.integration.validations import (
    DAY,
    NEXT_DAY,
    customers,
    every_row,
    kill_where_it_waits,
    land,
    land_bytes,
    open_services,
    validate_one,
)

CORRECTED_NAMES = ("line_number", *NAMES)


@pytest.fixture
def services(pipeline: Database, tmp_path: Path) -> Services:
    return open_services(pipeline, tmp_path)


def rows_with_two_bad() -> list[dict[str, str]]:
    """A hundred rows; those of lines 6 and 11 are bad."""
    rows = customer_rows(100)
    rows[4] |= {"tenure": "x", "gender": "?"}
    rows[9] |= {"MonthlyCharges": "70,5"}
    return rows


def admitted_with_two_bad(services: Services) -> Extract:
    land(services, DAY, rows_with_two_bad())
    extract = validate_one(services).extract
    assert (extract.admitted_count, extract.quarantined_count) == (98, 2)
    return extract


def aside(services: Services, extract: Extract, released: bool = False) -> list[QuarantinedRow]:
    with services.database.transaction() as connection:
        return quarantined_rows.first(connection, extract.extract_id, None, released)


def corrected(line: int, **changes: str) -> dict[str, str]:
    """A row as it has to be for its line, with `changes`."""
    return {"line_number": str(line), **customer_row(customerID=f"{line - 1:07d}-TEST"), **changes}


def release(services: Services, extract: Extract, rows: list[dict[str, str]], folder: Path) -> Release:
    file = write_extract(folder / "corrected.csv", rows, CORRECTED_NAMES)
    return release_rows(services, extract.extract_id, file)


def exported(services: Services, extract: Extract) -> list[dict[str, str]]:
    with services.database.transaction() as connection:
        text = b"".join(quarantined_rows.export(connection, extract.extract_id)).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


# As it was delivered --------------------------------------------------------------------------------------


def as_text(line_end: str, **format_: object) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator=line_end, **format_)  # type: ignore[arg-type]
    rows = rows_with_two_bad()
    rows[9] |= {"Contract": 'two\n"lines", one field'}
    rows[10] |= {"gender": "é€"}
    writer.writerows([NAMES, *([row[name] for name in NAMES] for row in rows)])
    return stream.getvalue().encode()


@pytest.mark.parametrize(
    "content",
    [
        as_text("\n"),
        as_text("\r\n"),
        b"\xef\xbb\xbf" + as_text("\r\n").rstrip(),
        as_text("\r"),
        as_text("\n", quoting=csv.QUOTE_ALL),
    ],
    ids=["LF", "CRLF", "byte order mark, CRLF, none at the end", "CR", "every field quoted"],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_each_quarantined_row_is_kept_character_for_character(services: Services, content: bytes, packed: bool) -> None:
    if packed:
        Path(f"{services.landing.url_of(DAY)}.gz").write_bytes(gzip.compress(content))
    else:
        land_bytes(services, DAY, content)
    rows = aside(services, validate_one(services).extract)
    assert [row.line_number for row in rows] == [6, 11, 12]
    for row in rows:
        assert row.raw_text
        assert row.raw_text.encode() in content
        assert row.raw_text[0] != "\n"
        (fields,) = csv.reader(io.StringIO(row.raw_text, newline=""))
        assert dict(zip(NAMES, fields, strict=True)) == {name: value or "" for name, value in row.raw_values.items()}


def test_the_text_of_many_rows_in_a_file_of_many_chunks_is_kept(services: Services) -> None:
    rows = [row | ({"gender": f"bad {number}"} if number % 50 == 0 else {})
            for number, row in enumerate(customer_rows(12_000))]  # fmt: skip
    path = land(services, DAY, rows)
    assert path.stat().st_size > 1 << 20
    lines = path.read_text("utf-8").splitlines()
    found = aside(services, validate_one(services).extract)
    assert {row.line_number: row.raw_text for row in found} == {n + 2: lines[n + 1] for n in range(0, 12_000, 50)}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(
        st.lists(
            st.one_of(st.text("ab é", max_size=5), st.text('a"\r\né,', max_size=5).map(
                lambda text: '"' + text.replace('"', '""') + '"')),
            min_size=1, max_size=3,
        ).map("".join),
        min_size=1, max_size=10,
    ),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
)  # fmt: skip
def test_a_record_is_what_copy_takes_for_one(pipeline: Database, records: list[str], line_end: str) -> None:
    text = line_end.join(["header", *records, "end"]).encode()
    picked = [record for _, record in pick_records([text], range(2, 100))]
    with pipeline.transaction() as connection:
        whole = copied(connection, text)
        one_by_one = [copied(connection, b"header\n" + record + b"\n") for record in picked]
        connection.rollback()
    assert [[value] for value in whole] == one_by_one
    assert picked == [record.encode() for record in (*records, "end")]


def copied(connection: psycopg.Connection, text: bytes) -> list[str | None]:
    """The values of a one-column CSV as the server reads them."""
    connection.execute(
        "CREATE UNLOGGED TABLE IF NOT EXISTS staging.copied (n bigint GENERATED ALWAYS AS IDENTITY, value text)"
    )
    connection.execute("DELETE FROM staging.copied")
    with connection.cursor().copy(
        "COPY staging.copied (value) FROM STDIN (FORMAT csv, HEADER true, DELIMITER '~')"
    ) as copy:
        copy.write(text)
    return [row["value"] for row in connection.execute("SELECT value FROM staging.copied ORDER BY n").fetchall()]


# Release --------------------------------------------------------------------------------------------------


def test_a_corrected_row_is_admitted_and_every_row_stays_accounted_for(services: Services, tmp_path: Path) -> None:
    extract = admitted_with_two_bad(services)
    released = release(services, extract, [corrected(6, tenure="24")], tmp_path)
    assert released.released_count == 1
    after = released.extract
    assert (after.row_count, after.admitted_count, after.quarantined_count) == (100, 99, 1)
    (row,) = [row for row in customers(services.database) if row["customer_id"] == "0000005-TEST"]
    assert (row["tenure"], row["snapshot_date"]) == (24, DAY)
    (left,) = aside(services, extract)
    assert left.line_number == 11
    (kept,) = aside(services, extract, released=True)
    assert kept.raw_values["tenure"] == "x"
    assert kept.released_values
    assert kept.released_values["tenure"] == "24"
    assert set(kept.released_values) == set(NAMES)
    assert kept.released_by == "churn_pipeline"
    assert kept.released_at


def test_what_is_exported_is_corrected_and_comes_back_in(services: Services, tmp_path: Path) -> None:
    extract = admitted_with_two_bad(services)
    rows = exported(services, extract)
    assert [(row["line_number"], row["reasons"]) for row in rows] == [
        ("6", "gender is '?', not one of Female, Male; tenure is 'x', not a whole number"),
        ("11", "MonthlyCharges is '70,5', not a number"),
    ]
    rows[0] |= {"gender": "Male", "tenure": "12"}
    rows[1] |= {"MonthlyCharges": "70.5"}
    file = write_extract(tmp_path / "corrected.csv", rows, tuple(rows[0]))
    assert release_rows(services, extract.extract_id, file).extract.quarantined_count == 0
    assert len(customers(services.database)) == 100
    assert exported(services, extract) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tenure": "601"}, r"row 3 \(line_number 11\): tenure is '601', outside 0 to 600"),
        ({"customerID": "0000001-TEST"}, "customerID is admitted in this extract already"),
        ({"customerID": "0000005-TEST"}, "customerID is in the file twice"),
        ({"line_number": "6"}, "line_number is in the file twice"),
        ({"line_number": "7"}, "line_number names no quarantined row of this extract"),
        ({"line_number": "six"}, r"\(line_number six\): line_number names no quarantined row"),
        ({"line_number": ""}, "line_number names no quarantined row"),
        ({"gender": "", "Churn": "?"}, "gender is blank, Churn is '[?]', not one of Yes, No"),
        ({"gender": "a\0b"}, "cannot be read"),
    ],
)
def test_one_row_that_does_not_pass_holds_back_the_whole_release(
    services: Services, tmp_path: Path, changes: dict[str, str], complaint: str
) -> None:
    extract = admitted_with_two_bad(services)
    before, rows_before = every_row(services.database), aside(services, extract)
    good, bad = corrected(6), corrected(11, **changes)
    with pytest.raises(ReleaseRefused, match=complaint):
        release(services, extract, [good, bad], tmp_path)
    assert every_row(services.database) == before
    assert aside(services, extract) == rows_before
    with services.database.transaction() as connection:
        assert extracts.get(connection, extract.extract_id) == extract
    assert release(services, extract, [good], tmp_path).released_count == 1


def test_a_row_is_released_once(services: Services, tmp_path: Path) -> None:
    extract = admitted_with_two_bad(services)
    release(services, extract, [corrected(6)], tmp_path)
    with pytest.raises(ReleaseRefused, match="it was released before"):
        release(services, extract, [corrected(6, customerID="another")], tmp_path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "The file is empty"),
        (",".join(NAMES).encode() + b"\n", "no column line_number"),
        (",".join(CORRECTED_NAMES).encode() + b"\n", "0 rows were corrected"),
        (",".join(CORRECTED_NAMES[:-2]).encode() + b"\n", "The header lacks TotalCharges"),
        (",".join(CORRECTED_NAMES).encode() + b"\n6,x\n", "cannot be read: missing data"),
    ],
)
def test_a_file_that_is_no_file_of_corrected_rows_is_refused(
    services: Services, tmp_path: Path, content: bytes, complaint: str
) -> None:
    extract = admitted_with_two_bad(services)
    file = tmp_path / "corrected.csv"
    file.write_bytes(content)
    with pytest.raises(ReleaseRefused, match=complaint):
        release_rows(services, extract.extract_id, file)


def test_only_an_admitted_extract_takes_rows_back(services: Services, tmp_path: Path) -> None:
    land(services, DAY, customer_rows(50, gender="?"))
    extract = validate_one(services).extract
    assert extract.state == "refused"
    with pytest.raises(ReleaseRefused, match="is refused"):
        release(services, extract, [corrected(6)], tmp_path)


def test_a_release_into_an_extract_that_no_longer_counts_says_so(services: Services, tmp_path: Path) -> None:
    extract = admitted_with_two_bad(services)
    file = land(services, DAY, customer_rows(100, tenure="13"))
    replacing = validate_customers(services, str(file), replace=True)[0].extract
    released = release(services, extract, [corrected(6)], tmp_path)
    assert f"extract {replacing.extract_id} counts for {DAY}, not this one" in released.notes
    assert len(customers(services.database)) == 100


def test_no_release_while_a_validation_runs(services: Services, tmp_path: Path) -> None:
    extract = admitted_with_two_bad(services)
    with services.database.lock(LOCK), pytest.raises(AlreadyRunning):
        release(services, extract, [corrected(6)], tmp_path)


def test_a_killed_release_has_changed_nothing(services: Services, tmp_path: Path, churn_database: TestDatabase) -> None:
    extract = admitted_with_two_bad(services)
    before = every_row(services.database)
    write_extract(tmp_path / "corrected.csv", [corrected(6)], CORRECTED_NAMES)
    with psycopg.connect(churn_database.server.url("postgres", churn_database.name)) as blocker:
        blocker.execute("LOCK TABLE churn.quarantined_rows IN SHARE MODE")  # after its rows entered history
        process = start(release_rows, services, extract.extract_id, tmp_path / "corrected.csv")
        kill_where_it_waits(churn_database, process)
    assert every_row(services.database) == before
    assert len(aside(services, extract)) == 2
    with services.database.transaction() as connection:
        assert extracts.get(connection, extract.extract_id) == extract
        left = connection.execute("SELECT to_regclass('staging.released_rows') AS left_behind").fetchone()
    assert left == {"left_behind": None}


# The database's own word ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE churn.extracts SET admitted_count = admitted_count + 1", "every_row_is_accounted_for"),
        (
            "UPDATE churn.extracts SET admitted_count = admitted_count + 1, quarantined_count = quarantined_count - 1",
            "counts 1 quarantined rows and 2 are listed",
        ),
        ("UPDATE churn.quarantined_rows SET raw_text = 'as I like it'", "cannot be changed any more"),
        ("UPDATE churn.quarantined_rows SET released_at = now()", "a_release_is_whole"),
        ("UPDATE churn.quarantined_rows SET reasons = '{none}'", "permission denied"),
        ("DELETE FROM churn.quarantined_rows", "permission denied"),
    ],
)
def test_the_database_holds_the_account(services: Services, statement: str, complaint: str) -> None:
    admitted_with_two_bad(services)
    with pytest.raises(psycopg.Error, match=complaint), psycopg.connect(services.database.url) as connection:
        connection.execute(statement)


def test_a_file_that_changes_between_its_two_readings_is_left_for_the_next_time(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = land(services, NEXT_DAY, rows_with_two_bad())
    opened = type(services.landing).open
    readings = []

    def open_changed(self: object, landed: object) -> object:
        readings.append(landed)
        if len(readings) == 2:
            path.write_bytes(path.read_bytes().replace(b"70,5", b"70;5"))
        return opened(self, landed)  # type: ignore[arg-type]

    monkeypatch.setattr(type(services.landing), "open", open_changed)
    assert validate_customers(services) == []
    assert len(readings) == 2
    assert customers(services.database) == []
    with services.database.transaction() as connection:
        assert connection.execute("SELECT FROM churn.quarantined_rows").fetchall() == []
    assert validate_one(services).extract.quarantined_count == 2
