"""The parts of a scoring run: key ranges, each with the marker that commits together with its rows."""

import math
import os
import socket
from dataclasses import asdict

from psycopg.types.json import Jsonb

from churn.db.database import Connection, query
from churn.errors import NotFound, TakenOver
from churn.records import ScoringPart, ScoringRun

_FIELDS = tuple(ScoringPart.__dataclass_fields__)


def plan(connection: Connection, run: ScoringRun, part_row_count: int) -> list[ScoringPart]:
    """Divide the run's snapshot into parts of about `part_row_count` customers or fewer, and record them.

    Together they hold every possible key once, whatever the sample that the bounds come from.
    """
    part_count = max(1, math.ceil((run.customer_count or 0) / part_row_count))
    bounds = _bounds(connection, run, part_count) if part_count > 1 else []
    for number, (first, end) in enumerate(zip([None, *bounds], [*bounds, None], strict=True), start=1):
        connection.execute(
            query("add_scoring_part"),
            {"scoring_run_id": run.scoring_run_id, "part_number": number, "from_key": first, "before_key": end},
        )
    return of_run(connection, run.scoring_run_id)


def of_run(connection: Connection, scoring_run_id: int) -> list[ScoringPart]:
    """The parts of a run in the order of their keys."""
    rows = connection.execute(query("list_scoring_parts"), {"scoring_run_id": scoring_run_id}).fetchall()
    return [_part(row) for row in rows]


def claim(connection: Connection, scoring_run_id: int, part_number: int) -> ScoringPart:
    """Take a part as its newest attempt; every earlier attempt can no longer finish it.

    A finished part comes back as it is. Raises NotFound where the run has no such part.
    """
    parameters = {
        "scoring_run_id": scoring_run_id,
        "part_number": part_number,
        "worker": f"{socket.gethostname()}:{os.getpid()}",
    }
    row = connection.execute(query("claim_scoring_part"), parameters).fetchone()
    if row is None:
        raise NotFound(f"Scoring run {scoring_run_id} has no part {part_number}.", "List runs: `churn score history`.")
    return _part(row)


def finish(connection: Connection, part: ScoringPart) -> ScoringPart:
    """Write the marker of a part whose rows are in this same transaction.

    Raises TakenOver where another attempt claimed the part since, or the run is no longer open: roll back.
    """
    parameters = asdict(part) | {"unknown_counts": Jsonb(part.unknown_counts)}
    row = connection.execute(query("finish_scoring_part"), parameters).fetchone()
    if row is None:
        raise TakenOver(
            f"Part {part.part_number} of scoring run {part.scoring_run_id} was taken over from attempt {part.attempt}.",
            "Nothing of this attempt stays; run it again to see what became of the part.",
        )
    return _part(row)


def _bounds(connection: Connection, run: ScoringRun, part_count: int) -> list[str]:
    fractions = [number / part_count for number in range(1, part_count)]
    row = connection.execute(
        query("plan_part_bounds"), {"extract_id": run.extract_id, "fractions": fractions}
    ).fetchone()
    return sorted(set((row or {}).get("bounds") or []))


def _part(row: dict[str, object]) -> ScoringPart:
    return ScoringPart(**{name: row[name] for name in _FIELDS})  # type: ignore[arg-type]
