"""Customers as a model sees them, streamed at the speed of COPY: bounded blocks, categories packed by the server."""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import asyncpg
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from psycopg import sql

from churn.columns import BY_NAME
from churn.core.feature_packing import FeaturePacking, Place
from churn.core.features import FeatureEncoder, Matrix
from churn.core.prefetch import prefetched
from churn.db.database import Database, query
from churn.errors import DatabaseUnavailable

pa.set_memory_pool(pa.system_memory_pool())  # mimalloc would keep a block's memory for later
_LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.OperatorInterventionError)
COPY_FORMAT = "binary"
BLOCK_BYTES = 3 << 18  # about 12,000 customers
_HEADER_BYTES, _END = 19, b"\xff\xff"  # of binary COPY: no extensions, and -1 columns
_CONNECT_SECONDS = 10


@dataclass(frozen=True)
class CustomerBlock:
    """Some customers: their keys, and their features (n, features) as the encoder gives them."""

    customer_ids: pa.Array
    matrix: Matrix

    def __len__(self) -> int:
        return len(self.customer_ids)


def read_blocks(
    database: Database, encoder: FeatureEncoder, source: sql.Composable
) -> Generator[CustomerBlock, None, None]:
    """Stream customers, encoded as the model asks. Memory is bounded by a few blocks, whatever the number of rows.

    `source` is what follows FROM in a statement over churn.customer_history AS history. Whoever leaves early closes the
    generator: a statement that nobody reads keeps its tables locked.
    Raises DatabaseUnavailable where the connection cannot be made or is lost.
    """
    packing = FeaturePacking.of(encoder)
    statement = select_features(packing, source).as_string()
    with closing(prefetched(_rows(database, statement, packing))) as blocks:
        for rows in blocks:
            yield CustomerBlock(rows.keys, packing.unpack(rows.words, rows.numbers))


def select_features(packing: FeaturePacking, source: sql.Composable) -> sql.Composed:
    """The statement that reads customers in the given layout: key, packed words, numbers."""
    words = [sql.SQL("history.packed_categories")] + [
        packed_word([place for place in packing.computed if place.word == word])
        for word in range(1, packing.computed_word_count + 1)
    ]
    numbers = [sql.SQL("{}::double precision").format(_history_column(column.name)) for column in packing.numbers]
    columns = sql.SQL(", ").join([sql.SQL("history.customer_id"), *words, *numbers])
    return sql.SQL(query("stream_features")).format(columns=columns, source=source)


def packed_word(places: Sequence[Place]) -> sql.Composed:
    """Categories of history packed into one number; customer_history.packed_categories is this for the contract."""
    return sql.SQL(" + ").join(_coded(place) for place in places)


def _coded(place: Place) -> sql.Composed:
    cases = [
        sql.SQL("WHEN {} THEN {}").format(sql.Literal(category), _shifted(code, place))
        for code, category in enumerate(place.categories)
    ]
    return sql.SQL("CASE {} {} ELSE {} END").format(
        _history_column(place.name), sql.SQL(" ").join(cases), _shifted(place.unknown_code, place)
    )


def _shifted(code: int, place: Place) -> sql.Composed:
    return sql.SQL("{}::bigint").format(sql.Literal(code << place.shift))


def _history_column(name: str) -> sql.Composed:
    return sql.SQL("history.{}").format(sql.Identifier(BY_NAME[name].sql_name))


@dataclass(frozen=True)
class _Rows:
    """Some rows as they were read: keys, words (n, words) and numbers (n, numbers)."""

    keys: pa.Array
    words: NDArray[np.int64]
    numbers: Matrix


def _rows(database: Database, statement: str, packing: FeaturePacking) -> Generator[_Rows, None, None]:
    """The rows of a statement in the layout of a packing, some thousands at a time."""
    with asyncio.Runner() as runner:
        copy = _Copy(database, statement)
        try:
            runner.run(copy.start())
            data = runner.run(copy.next_block())[_HEADER_BYTES:]
            while data != _END:
                rows, end = _taken_apart(data, packing)
                yield rows
                more = runner.run(copy.next_block())
                data = data[end:] + more
                if not more and data != _END:
                    raise ValueError(f"the rows of a COPY end in {len(data)} bytes that are none")
        except (OSError, *_LOST) as error:
            raise DatabaseUnavailable(
                f"Reading from the database {database.address} failed: {error}.",
                "Run this again: what is finished is skipped.",
            ) from error
        finally:
            runner.run(copy.stop())


def _taken_apart(data: bytes, packing: FeaturePacking) -> tuple[_Rows, int]:
    """The whole rows at the beginning of some bytes of binary COPY, and where they end."""
    from churn.core.packing_kernels import split_rows  # numba, which whoever only makes statements does not need

    word_count, cell_count = packing.word_count, packing.word_count + len(packing.numbers)
    most = len(data) // (6 + 4 * cell_count)
    keys, ends = np.empty(len(data), np.uint8), np.zeros(most + 1, np.int32)
    cells = np.empty((most, cell_count), np.int64)
    count, end = split_rows(np.frombuffer(data, np.uint8), cell_count, keys, ends, cells)
    texts = pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(keys))
    return _Rows(texts, cells[:count, :word_count], cells[:count, word_count:].view(np.float64)), end


class _Copy:
    """One COPY TO STDOUT. asyncpg hands it over in large pieces where psycopg makes an object of every row."""

    def __init__(self, database: Database, statement: str) -> None:
        self._database, self._statement = database, statement
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=64)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._read())

    async def next_block(self) -> bytes:
        """At least BLOCK_BYTES, or what is left, or nothing."""
        pieces: list[bytes] = []
        size = 0
        while size < BLOCK_BYTES and (piece := await self._pieces.get()) is not None:
            pieces.append(piece)
            size += len(piece)
        if size < BLOCK_BYTES:
            self._pieces.put_nowait(None)  # whoever asks once more finds the end again
            await self._task  # type: ignore[misc]  # raises what the reading raised
        return b"".join(pieces)

    async def stop(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _read(self) -> None:
        try:
            connection = await asyncpg.connect(self._database.url, timeout=_CONNECT_SECONDS)
            try:
                await connection.copy_from_query(self._statement, output=self._pieces.put, format=COPY_FORMAT)
            finally:
                connection.terminate()
        finally:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                await self._pieces.put(None)
