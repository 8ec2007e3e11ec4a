"""History in the making: the rows of an extract in a table of their own, which becomes a partition when it is admitted.

Several connections fill it at once, each from its own blocks of staging, and nobody reads it before it is attached:
what a killed process leaves is dropped by the next one. Whoever uses it holds the lock `validate_customers`.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from churn.columns import KEY
from churn.core.extract_text import DELIVER_AGAIN
from churn.db import row_rules
from churn.db.database import Connection, query
from churn.errors import ExtractRefused
from churn.records import Extract


@dataclass(frozen=True)
class BlockRange:
    """Blocks of the staging table, from `first_block` to before `end_block`."""

    first_block: int
    end_block: int


def prepare(connection: Connection, extract: Extract) -> str:
    """Make an empty table for the extract's rows, under a name that no other process knows; return the name."""
    row = connection.execute(query("prepare_history"), {"extract_id": extract.extract_id}).fetchone()
    return str((row or {})["table_name"])


def block_ranges(connection: Connection, count: int) -> list[BlockRange]:
    """Divide the staged rows into `count` ranges of about equal size."""
    row = connection.execute(query("measure_staging")).fetchone()
    block_count = int((row or {})["block_count"])
    ends = [block_count * place // count for place in range(count + 1)]
    return [BlockRange(first, end) for first, end in itertools.pairwise(ends)]


def fill(
    connection: Connection, extract: Extract, table_name: str, blocks: BlockRange, bad_line_numbers: Sequence[int]
) -> int:
    """Insert every staged row of these blocks but the bad ones into the prepared table; return how many."""
    statement = sql.SQL(query("fill_history")).format(
        table=sql.Identifier("churn", table_name),
        target_columns=row_rules.target_columns(),
        admitted_values=row_rules.admitted_values(),
        key=sql.Identifier(KEY.name),
    )
    parameters = {
        "extract_id": extract.extract_id,
        "snapshot_date": extract.snapshot_date,
        "first_block": blocks.first_block,
        "end_block": blocks.end_block,
        "bad_line_numbers": list(bad_line_numbers),
    }
    return connection.execute(statement, parameters).rowcount


def attach(connection: Connection, extract: Extract, table_name: str) -> None:
    """Let the filled table be the extract's partition of customer_history.

    Raises ExtractRefused where a key is in it twice.
    """
    try:
        connection.execute(query("attach_history"), {"extract_id": extract.extract_id, "table_name": table_name})
    except psycopg.errors.UniqueViolation as error:
        raise ExtractRefused(f"A {KEY.name} is in the file twice.", DELIVER_AGAIN) from error


def discard(connection: Connection) -> None:
    """Drop what was prepared and will not be attached."""
    connection.execute(query("discard_history"))
