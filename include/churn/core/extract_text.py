"""The text of an extract before the database sees it: its header line and its bytes in order."""

import csv
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from churn.columns import COLUMNS, LABEL
from churn.errors import ExtractRefused

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAXIMUM_HEADER_BYTES = 64 * 1024
MAXIMUM_ADDED_COLUMNS = 200
_CHUNK_BYTES = 1 << 18
DELIVER_AGAIN = "Ask for the file again; yesterday's customers stay in force."


@dataclass(frozen=True)
class Header:
    """The names in the first line of an extract, in its order; `added` are those outside the contract."""

    names: tuple[str, ...]
    added: tuple[str, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know about an added column."""
        return tuple(f"column {name!r} is not in the contract and was ignored" for name in self.added)


class Readable(Protocol):
    """Anything that gives its bytes in order; it may give fewer than asked for, and none only at its end."""

    def read(self, byte_count: int, /) -> bytes:
        """The next bytes."""


class ExtractText:
    """The CSV text of an extract, read once, in order, in bounded memory.

    A byte order mark and blank lines at the end are left out of `chunks`.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._head = stream.read(MAXIMUM_HEADER_BYTES)
        while len(self._head) < MAXIMUM_HEADER_BYTES and (more := stream.read(MAXIMUM_HEADER_BYTES)):
            self._head += more
        self._head = self._head.removeprefix(BYTE_ORDER_MARK)

    @property
    def header(self) -> Header:
        """The header line. Raises ExtractRefused where it is not the contract's."""
        return read_header(self._head)

    def chunks(self) -> Iterator[bytes]:
        """Everything, header included, without the blank lines at the end."""
        line_ends, chunk = b"", self._head
        while chunk:
            chunk = line_ends + chunk
            body = chunk.rstrip(b"\r\n")
            line_ends = chunk[len(body) :]
            if len(line_ends) > _CHUNK_BYTES:  # more than a tail: bounded memory comes first
                body, line_ends = chunk, b""
            if body:
                yield body
            chunk = self._stream.read(_CHUNK_BYTES)


def read_header(head: bytes) -> Header:
    """The header in the first bytes of an extract, without byte order mark.

    Raises ExtractRefused naming the column that is missing, renamed or there twice.
    """
    if not head.strip():
        raise ExtractRefused("The file is empty.", DELIVER_AGAIN)
    names = _split(head)
    _require_commas(names)
    known = {column.name for column in COLUMNS}
    if known.isdisjoint(names):
        raise ExtractRefused("Line 1 is not the header: it names no column of the contract.", DELIVER_AGAIN)
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ExtractRefused(f"Column {min(twice)!r} is in the header twice.", DELIVER_AGAIN)
    added = tuple(name for name in names if name not in known)
    missing = [column.name for column in COLUMNS if column.name not in names and column is not LABEL]
    if missing:
        raise ExtractRefused(_missing(missing, added), "Deliver the columns of docs/data.md under their exact names.")
    if len(added) > MAXIMUM_ADDED_COLUMNS:
        raise ExtractRefused(f"The header has {len(added)} columns that are not in the contract.", DELIVER_AGAIN)
    return Header(tuple(names), added)


def _split(head: bytes) -> list[str]:
    lines = head.splitlines(keepends=True)
    if len(lines) == 1 and len(head) >= MAXIMUM_HEADER_BYTES:
        raise ExtractRefused(f"Line 1 is longer than {MAXIMUM_HEADER_BYTES} bytes.", DELIVER_AGAIN)
    try:
        line = lines[0].decode("utf-8")
        if "\0" in line:
            raise ExtractRefused("Line 1 holds a NUL byte.", DELIVER_AGAIN)
        return next(csv.reader([line.rstrip("\r\n")], strict=True), [])
    except UnicodeDecodeError as error:
        raise ExtractRefused("Line 1 is not UTF-8 text.", "Export the file as UTF-8 and deliver it again.") from error
    except csv.Error as error:
        raise ExtractRefused(f"Line 1 cannot be read: {error}.", DELIVER_AGAIN) from error


def _require_commas(names: list[str]) -> None:
    for separator, spoken in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(names) == 1 and separator in names[0]:
            raise ExtractRefused(f"The fields are separated by {spoken}, not by commas.", DELIVER_AGAIN)


def _missing(missing: list[str], added: tuple[str, ...]) -> str:
    """Name the missing columns, each with the added column that looks like its new name."""
    folded = {name.lower().replace("_", "").replace(" ", ""): name for name in added}
    parts = []
    for name in missing:
        alike = difflib.get_close_matches(name.lower(), list(folded), n=1, cutoff=0.8)
        parts.append(f"{name} (renamed to {folded[alike[0]]!r}?)" if alike else name)
    return f"The header lacks {', '.join(parts)}."
