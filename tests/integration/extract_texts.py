"""Extracts as bytes, good ones and ones with something wrong, in every format."""

import gzip
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.factories import NAMES, customer_row, customer_rows

ROW_COUNT = 40


def text(rows: Sequence[dict[str, str]], names: tuple[str, ...] = NAMES, separator: str = ",", end: str = "\n") -> str:
    lines = [separator.join(names), *(separator.join(row.get(name, "x") for name in names) for row in rows)]
    return end.join(lines) + end


def good(count: int = ROW_COUNT) -> str:
    return text(customer_rows(count))


def with_line(number: int, line: str) -> bytes:
    """The good file with one line (1 is the header) replaced."""
    lines = good().splitlines()
    lines[number - 1] = line
    return ("\n".join(lines) + "\n").encode()


def changed(name: str, value: str, every: int = 1) -> bytes:
    """The good file with one column set to a value in every n-th row."""
    rows = customer_rows(ROW_COUNT)
    for row in rows[::every]:
        row[name] = value
    return text(rows).encode()


def renamed(old: str, new: str) -> bytes:
    return good().replace(old, new, 1).encode()


def without(name: str) -> bytes:
    return text(customer_rows(ROW_COUNT), tuple(each for each in NAMES if each != name)).encode()


def with_row(changes: dict[str, str]) -> bytes:
    """The good file and one more row, every field of which is quoted."""
    row = customer_row(**({"customerID": "bad"} | changes))
    quoted = ",".join('"{}"'.format(value.replace('"', '""')) for value in row.values())
    return f"{good()}{quoted}\n".encode()


# Parquet ------------------------------------------------------------------------------------------------------

INTEGERS, AMOUNTS = ("SeniorCitizen", "tenure"), ("MonthlyCharges", "TotalCharges")


def typed(rows: Sequence[dict[str, str]]) -> dict[str, Any]:
    """The columns of the rows as a billing database would hold them: numbers as numbers, blanks missing."""
    columns: dict[str, Any] = {name: [row[name] or None for row in rows] for name in NAMES}
    for name in INTEGERS:
        columns[name] = [None if value is None else int(value) for value in columns[name]]
    for name in AMOUNTS:
        columns[name] = [None if value is None else float(value) for value in columns[name]]
    return columns


def parquet(columns: dict[str, Any], row_group_size: int = 7) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=row_group_size)
    return sink.getvalue()


def good_parquet() -> bytes:
    return parquet(typed(customer_rows(ROW_COUNT)))


def retyped(name: str, values: Any) -> bytes:
    return parquet(typed(customer_rows(ROW_COUNT)) | {name: values})


def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]


LINE_3 = good().splitlines()[2]
ZIPPED = gzip.compress(good().encode())
