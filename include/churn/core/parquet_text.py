"""A Parquet extract as the CSV text that the same extract would have been."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from churn.columns import BY_NAME, KEY
from churn.core.extract_text import DELIVER_AGAIN, read_header
from churn.errors import ExtractRefused

_BATCH_ROW_COUNT = 8_192
_PAGE_BUFFER_BYTES = 1 << 20  # read by pages: without it a row group would be in memory whole


class ParquetText:
    """The rows of a Parquet file as CSV, batch by batch in bounded memory.

    A whole number loses its `.0`, a missing value is blank, text stays as it is. Columns outside the contract keep
    their name and are not read. Raises ExtractRefused where the file is damaged, its columns are not the contract's,
    or one of them holds what CSV would not say.
    """

    def __init__(self, file: BinaryIO) -> None:
        with _damage_told():
            parquet = pq.ParquetFile(file, buffer_size=_PAGE_BUFFER_BYTES, page_checksum_verification=True)
            schema = parquet.schema_arrow
        header = _line(schema.names)
        added = read_header(header).added
        for field in schema:
            if field.name in BY_NAME:
                _require_text_or_number(field)
        names = [name for name in schema.names if name in BY_NAME]
        self._batches = parquet.iter_batches(_BATCH_ROW_COUNT, columns=names, use_threads=False)
        self._added_count = len(added)
        self._text = io.BytesIO(_line([*names, *added]))

    def read(self, byte_count: int) -> bytes:
        """The next bytes of the text, fewer than asked for at the end of a batch. Raises ExtractRefused as above."""
        while not (content := self._text.read(byte_count)):
            with _damage_told():
                batch = next(self._batches, None)
                if batch is None:
                    return b""
                self._text = io.BytesIO(_csv(batch, self._added_count))
        return content


def _line(names: list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(names)
    return line.getvalue().encode("utf-8", errors="replace")


def _csv(batch: pa.RecordBatch, added_count: int) -> bytes:
    blanks = [pa.nulls(batch.num_rows, pa.string())] * added_count
    columns = [_as_text(column) for column in batch.columns] + blanks
    table = pa.table(columns, names=[str(position) for position in range(len(columns))])
    sink = io.BytesIO()
    pyarrow.csv.write_csv(table, sink, pyarrow.csv.WriteOptions(include_header=False))
    return sink.getvalue()


def _as_text(column: pa.Array) -> pa.Array:
    """A column as CSV would hold it; empty text is a missing value there, so it is one here."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    text = pc.cast(column, pa.string())
    if pa.types.is_decimal(column.type):
        text = pc.replace_substring_regex(text, r"(\.\d*?)0+$", r"\1")
        text = pc.replace_substring_regex(text, r"\.$|^(0)E-\d+$", r"\1")
    return pc.if_else(pc.equal(text, ""), None, text)


def _require_text_or_number(field: pa.Field) -> None:
    """Raises ExtractRefused where a column of the contract holds another kind of value."""
    column = BY_NAME[field.name]
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if is_text or pa.types.is_null(kind) or (is_number and column.is_number):
        return
    if column is KEY and pa.types.is_integer(kind):
        return
    wanted = "numbers" if column.is_number else "text"
    raise ExtractRefused(
        f"Column {field.name!r} is retyped: it holds {kind}, not {wanted}.",
        "Deliver the column as docs/data.md describes it.",
    )


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        # Arrow calls damage an OSError too, without a number; one with a number is the store's and says nothing
        # about the file.
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
            raise
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ExtractRefused(f"The Parquet file is damaged: {reason}.", DELIVER_AGAIN) from error
