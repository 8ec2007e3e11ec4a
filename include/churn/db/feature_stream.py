"""Customers as a model sees them, streamed at the speed of COPY: bounded blocks, categories packed by the server."""

import asyncio
import io
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import asyncpg
import pyarrow as pa
import pyarrow.csv
from psycopg import sql

from churn.columns import BY_NAME
from churn.core.feature_packing import FeaturePacking, Place
from churn.core.features import FeatureEncoder, Matrix
from churn.core.prefetch import prefetched
from churn.db.database import Database, query
from churn.errors import DatabaseUnavailable

pa.set_memory_pool(pa.system_memory_pool())  # mimalloc would keep a block's memory for later
_LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.OperatorInterventionError)
BLOCK_BYTES = 1 << 19  # of CSV: about 14,000 customers
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
    with closing(prefetched(_csv_blocks(database, statement))) as blocks:
        for block in blocks:
            yield _decoded(packing, block)


def select_features(packing: FeaturePacking, source: sql.Composable) -> sql.Composed:
    """The statement that reads customers in the given layout: key, packed words, numbers."""
    words = [sql.SQL("history.packed_categories")] + [
        packed_word([place for place in packing.computed if place.word == word])
        for word in range(1, packing.computed_word_count + 1)
    ]
    numbers = [_history_column(column.name) for column in packing.numbers]
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


def _decoded(packing: FeaturePacking, csv: bytes) -> CustomerBlock:
    word_count = 1 + packing.computed_word_count
    names = ["key", *(f"word {number}" for number in range(word_count)), *(column.name for column in packing.numbers)]
    types = [pa.string()] + [pa.int64()] * word_count + [pa.float64()] * len(packing.numbers)
    table = pa.csv.read_csv(
        io.BytesIO(csv),
        pa.csv.ReadOptions(column_names=names, use_threads=False, block_size=len(csv) + 1),
        convert_options=pa.csv.ConvertOptions(column_types=dict(zip(names, types, strict=True)), null_values=[""]),
    )
    keys, *columns = (column.combine_chunks() for column in table.columns)
    words = [column.to_numpy() for column in columns[:word_count]]
    numbers = [column.to_numpy(zero_copy_only=False) for column in columns[word_count:]]
    return CustomerBlock(keys, packing.unpack(words, numbers, len(keys)))


def _csv_blocks(database: Database, statement: str) -> Generator[bytes, None, None]:
    """The rows of a statement as blocks of whole CSV lines. No admitted value holds a line break."""
    with asyncio.Runner() as runner:
        copy = _Copy(database, statement)
        try:
            runner.run(copy.start())
            while block := runner.run(copy.next_block()):
                yield block
        except (OSError, *_LOST) as error:
            raise DatabaseUnavailable(
                f"Reading from the database {database.address} failed: {error}.",
                "Run this again: what is finished is skipped.",
            ) from error
        finally:
            runner.run(copy.stop())


class _Copy:
    """One COPY TO STDOUT. asyncpg hands it over in large pieces where psycopg makes an object of every row."""

    def __init__(self, database: Database, statement: str) -> None:
        self._database, self._statement = database, statement
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=64)
        self._rest = b""
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._read())

    async def next_block(self) -> bytes:
        """At least BLOCK_BYTES of whole lines, or what is left, or nothing."""
        pieces, size = [self._rest], len(self._rest)
        while size < BLOCK_BYTES and (piece := await self._pieces.get()) is not None:
            pieces.append(piece)
            size += len(piece)
        if size < BLOCK_BYTES:
            self._rest = b""
            self._pieces.put_nowait(None)  # whoever asks once more finds the end again
            await self._task  # type: ignore[misc]  # raises what the reading raised
            return b"".join(pieces)
        block, newline, self._rest = b"".join(pieces).rpartition(b"\n")
        return block + newline

    async def stop(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _read(self) -> None:
        try:
            connection = await asyncpg.connect(self._database.url, timeout=_CONNECT_SECONDS)
            try:
                await connection.copy_from_query(self._statement, output=self._pieces.put, format="csv")
            finally:
                connection.terminate()
        finally:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                await self._pieces.put(None)
