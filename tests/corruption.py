"""Nasty values, by the column that they are bad for, and rows that hold them."""

import csv
import io
from collections.abc import Mapping, Sequence

from churn.columns import COLUMNS, Column

_WORDS = (
    "", " ", "yes", "YES", "Yes ", "No\n", "'; DROP TABLE churn.extracts; --", "€", "X" * 5_000, "0", "nan", "NULL",
    "\\N", '"', "a,b", "\r\n", "\\.", "%s", "{}", "\u202eno",
)  # fmt: skip
_NO_NUMBERS = (
    "x", "1_0", "١٢", "1e3", "0x1F", "NaN", "inf", "12 ", " 12", "1 2", "--1", "1,5", "=1+1", "1\n", '"', "9" * 400,
)  # fmt: skip

Corruption = Mapping[int, Mapping[str, str]]
"""Bad values by column, for rows by position."""


def bad_values(column: Column) -> tuple[str, ...]:
    """Values that break the column's own rule, whatever is in the others. `{row}` stands for the row's position."""
    if column.kind == "key":
        return ("", " lead{row}", "trail{row} ", "tab\t{row}", "line\n{row}", "x" * 60 + "-{row:06}", "\u0085{row}")
    if column.kind == "category":
        return _WORDS
    if column.kind == "label":
        return tuple(word for word in _WORDS if word.strip())
    blank = () if column.name == "TotalCharges" else ("", " ", "\n")  # nothing has been billed at tenure 0
    outside = ("-1", f"{(column.maximum or 0) + 1:.0f}", "1e400")
    return (*_NO_NUMBERS, *blank, *outside, *(("1.5",) if column.kind == "integer" else ("70,5", "1.", ".5", "$1")))


def corrupted(rows: Sequence[Mapping[str, str]], corruption: Corruption) -> list[dict[str, str]]:
    """The rows with what is wrong with some of them."""
    return [
        {**row, **{name: value.replace("{row}", str(n)).replace("{row:06}", f"{n:06}") for name, value in bad.items()}}
        for n, row in enumerate(rows)
        for bad in [corruption.get(n, {})]
    ]


def as_csv(rows: Sequence[Mapping[str, str]], line_end: str = "\n") -> bytes:
    """The rows as the text of an extract."""
    stream = io.StringIO(newline="")
    names = [column.name for column in COLUMNS]
    writer = csv.DictWriter(stream, names, lineterminator=line_end, quoting=csv.QUOTE_ALL if line_end != "\n" else 0)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()
