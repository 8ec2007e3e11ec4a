"""Plain, gzip and Parquet, from a folder and from S3: the same rows, the same sentences."""

import csv
import gzip
import io
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn.core.delivered import Delivered, Unzipped
from churn.core.parquet_text import ParquetText
from churn.db import quarantined_rows
from churn.db.database import Database
from churn.errors import ExtractRefused
from churn.jobs.validate_customers import require_admitted, validate_customers
from churn.services import Services
from tests.factories import NAMES, customer_rows
from tests.integration.extract_texts import ROW_COUNT, ZIPPED, flipped, good, good_parquet, parquet, typed
from tests.integration.validations import DAY, customers, landing_place, require_accounted_for
from tests.jobs import with_changes


@pytest.fixture(params=["folder", "s3"])
def put(request: pytest.FixtureRequest, pipeline: Database, tmp_path: Path) -> tuple[Services, Callable[..., None]]:
    """Services over an empty landing place, and a way to put a file there."""
    return landing_place(request, pipeline, tmp_path)


def in_parquet(content: bytes) -> list[dict[str, str]]:
    """What a Parquet file says, read as the CSV that it becomes."""
    stream, text = ParquetText(io.BytesIO(content)), b""
    while chunk := stream.read(100):
        text += chunk
    return list(csv.DictReader(io.StringIO(text.decode())))


# What is admitted ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        ("csv", lambda: good().encode()),
        ("csv.gz", lambda: gzip.compress(b"\xef\xbb\xbf" + good().replace("\n", "\r\n").encode())),
        ("csv.gz", lambda: gzip.compress(good().encode()[:100]) + gzip.compress(good().encode()[100:])),
        ("parquet", good_parquet),
    ],
    ids=["csv", "gzip with byte order mark and CRLF", "gzip in two members", "parquet"],
)
def test_every_format_becomes_the_same_customer_table(
    put: tuple[Services, Callable[..., None]], suffix: str, content: Callable[[], bytes]
) -> None:
    services, land = put
    land(f"customers-{DAY}.{suffix}", content())
    (outcome,) = validate_customers(services)
    require_accounted_for(outcome, ROW_COUNT)
    assert outcome.extract.quarantined_count == 0
    table = customers(services.database)
    assert [row["customer_id"] for row in table] == [row["customerID"] for row in customer_rows(ROW_COUNT)]
    assert {(row["tenure"], row["monthly_charges"], row["total_charges"]) for row in table} == {(12, 70.5, 846.0)}
    (again,) = validate_customers(services)
    assert again.note == "already admitted: nothing to do"


def test_the_same_content_zipped_and_plain_are_two_contents_of_one_day(
    put: tuple[Services, Callable[..., None]],
) -> None:
    services, land = put
    land(f"customers-{DAY}.csv", good().encode())
    land(f"customers-{DAY}.csv.gz", gzip.compress(good().encode(), mtime=0))
    states = [outcome.extract.state for outcome in validate_customers(services)]
    assert states == ["admitted", "held"]


def test_bad_rows_of_a_parquet_file_are_set_aside_with_their_reasons(
    put: tuple[Services, Callable[..., None]],
) -> None:
    services, land = put
    columns = typed(customer_rows(ROW_COUNT))
    columns["tenure"] = [float(value) for value in columns["tenure"]]
    columns["tenure"][1] = 12.5
    columns["TotalCharges"][0] = float("nan")
    land(f"customers-{DAY}.parquet", parquet(columns))
    with pytest.raises(ExtractRefused, match=r"2 of 40 rows are bad.*line 2: TotalCharges is 'nan'"):
        require_admitted(validate_customers(with_cap(services, 0.01)))
    (outcome,) = validate_customers(with_cap(services, 0.5), f"customers-{DAY}.parquet")
    require_accounted_for(outcome, ROW_COUNT)
    with services.database.transaction() as connection:
        aside = quarantined_rows.first(connection, outcome.extract.extract_id, 10)
    assert [(row.line_number, *row.reasons) for row in aside] == [
        (2, "TotalCharges is 'nan', not a number"), (3, "tenure is '12.5', not a whole number"),
    ]  # fmt: skip


def with_cap(services: Services, rate: float) -> Services:
    return with_changes(services, policy=services.policy.model_copy(update={"quarantine_cap_rate": rate}))


# What is refused ----------------------------------------------------------------------------------------------


def test_a_gzip_bomb_fills_neither_memory_nor_the_database(put: tuple[Services, Callable[..., None]]) -> None:
    services, land = put
    sink = io.BytesIO()
    with gzip.GzipFile(fileobj=sink, mode="wb") as zipped:
        zipped.write(good().encode())
        for _ in range(200):
            zipped.write(bytes(1 << 20))
    land(f"customers-{DAY}.csv.gz", sink.getvalue())
    tracemalloc.start()
    try:
        with pytest.raises(ExtractRefused, match="cannot be read"):
            require_admitted(validate_customers(services))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * (1 << 20)


# How values are written ---------------------------------------------------------------------------------------


def test_a_parquet_column_is_written_as_the_contract_wants_it() -> None:
    rows = customer_rows(4)
    columns = typed(rows) | {
        "customerID": [1, 20, 300, 4_000],
        "SeniorCitizen": pa.array([0.0, 1.0, None, 0.5]),
        "tenure": pa.array([12, 0, 7, 600], pa.uint16()),
        "gender": pa.array(["Male", "", None, ' "x", '], pa.string()).dictionary_encode(),
        "MonthlyCharges": pa.array([Decimal("70.50"), Decimal("0.00"), Decimal("100.00"), None], pa.decimal128(20, 12)),
        "TotalCharges": pa.array([70.35, 600_000.0, 846.0, None], pa.float32()),
    }
    written = in_parquet(parquet(columns))
    assert [row["customerID"] for row in written] == ["1", "20", "300", "4000"]
    assert [row["SeniorCitizen"] for row in written] == ["0", "1", "", "0.5"]
    assert [row["tenure"] for row in written] == ["12", "0", "7", "600"]
    assert [row["gender"] for row in written] == ["Male", "", "", ' "x", ']
    assert [row["MonthlyCharges"] for row in written] == ["70.5", "0", "100", ""]
    assert [row["TotalCharges"] for row in written] == ["70.35", "600000", "846", ""]


def test_added_parquet_columns_of_any_type_are_named_and_not_read() -> None:
    columns = typed(customer_rows(3))
    added = {"region": [["north"]] * 3, "photo": [b"\xff"] * 3}
    stream = ParquetText(io.BytesIO(parquet(added | columns)))
    header, first = stream.read(1 << 20).decode().splitlines()[0], stream.read(1 << 20).decode().splitlines()[0]
    assert header == ",".join((*NAMES, "region", "photo"))
    assert first.endswith(',"No",,')


def test_a_column_that_parquet_holds_twice_is_refused() -> None:
    names = [*NAMES, "tenure"]
    table = pa.table([pa.array(["x"])] * len(names), names=names)
    sink = io.BytesIO()
    pq.write_table(table, sink)
    with pytest.raises(ExtractRefused, match="'tenure' is in the header twice"):
        ParquetText(sink)


@pytest.mark.parametrize("suffix", ["csv.gz", "parquet"])
def test_a_damaged_byte_anywhere_is_a_refusal_or_no_matter_and_never_a_traceback(suffix: str) -> None:
    content = ZIPPED if suffix == "csv.gz" else good_parquet()
    refused = 0
    for position in range(0, len(content), 7):
        try:
            read_whole(suffix, flipped(content, position))
        except ExtractRefused as refusal:
            refused += "damaged" in refusal.message or "ends before" in refusal.message
    assert refused > 0


def read_whole(suffix: str, content: bytes) -> None:
    file = io.BytesIO(content)
    stream = Unzipped(Delivered(file)) if suffix == "csv.gz" else ParquetText(file)
    while stream.read(1 << 16):
        pass


def test_the_hash_of_a_zipped_file_is_that_of_what_was_delivered() -> None:
    delivered = Delivered(io.BytesIO(ZIPPED))
    stream = Unzipped(delivered)
    while stream.read(1 << 16):
        pass
    whole = Delivered(io.BytesIO(ZIPPED))
    whole.read()
    assert delivered.content_hash == whole.content_hash


def test_a_row_group_is_never_in_memory_whole(tmp_path: Path) -> None:
    """Read as Arrow it would take more than the bound."""
    path, count = tmp_path / "customers-2026-11-01.parquet", 500_000
    columns = {name: pa.array([value] * count) for name, value in customer_rows(1)[0].items()}
    columns["customerID"] = pa.array([f"{number:060d}" for number in range(count)])
    pq.write_table(pa.table(columns), path, row_group_size=count, compression="none", use_dictionary=False)
    before = pa.total_allocated_bytes()
    largest = 0
    with path.open("rb") as file:
        stream = ParquetText(file)
        while stream.read(1 << 20):
            largest = max(largest, pa.total_allocated_bytes() - before)
    assert path.stat().st_size > 100 * (1 << 20)
    assert largest < 60 * (1 << 20)
