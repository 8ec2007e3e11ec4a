"""The scores and reasons of a run: loaded without a key, sealed as a partition, summarised, compared, dropped."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg import sql

from churn.db.database import Connection, query
from churn.db.score_sources import in_part, unchanged_since
from churn.db.scoring_parts import of_run
from churn.records import ScoreSummary, ScoringPart, ScoringRun

SCORES = pa.schema([("customer_id", pa.string()), ("churn_probability", pa.float64())])
REASONS = SCORES.append(pa.field("reasons", pa.list_(pa.string())))
REASONS_A_COPY = 50_000  # so many are kept in memory while scores stream


@dataclass(frozen=True)
class StoredScore:
    """One customer's row of a run, as readers see it."""

    customer_id: str
    churn_probability: float
    decile: int
    percentile_rank: int
    risk_level: str
    reasons: list[str] | None


@dataclass(frozen=True)
class RunComparison:
    """How the scores of one run differ from another's, customer by customer; rates are 0..1."""

    customer_count: int
    mean_difference: float
    mean_absolute_difference: float
    correlation: float | None
    moved_decile_rate: float
    changed_risk_level_rate: float


def keep_groups(connection: Connection, run: ScoringRun) -> None:
    """Keep counts, mean probabilities and monthly charges of a run's customers, by decile and risk level."""
    named = {"scoring_run_id": run.scoring_run_id, "extract_id": run.extract_id}
    connection.execute(query("summarise_scores"), named)


def open_tables(connection: Connection, run: ScoringRun) -> None:
    """Make the run's two tables, which nobody reads yet."""
    connection.execute(query("open_score_tables"), {"scoring_run_id": run.scoring_run_id})


def load(connection: Connection, run: ScoringRun, batches: Iterable[pa.RecordBatch]) -> int:
    """Copy batches of REASONS, null for who has none, into the run's two tables; return the count of scores.

    A connection does one COPY at a time: scores stream, and every now and then the reasons of some of them follow.
    """
    row_count, left = 0, iter(batches)
    explained: list[pa.RecordBatch] = []
    while copied := _copy(connection, _table("scores", run), SCORES, _set_apart(left, explained)):
        row_count += copied
        load_reasons(connection, run, explained)
        explained.clear()
    return row_count


def _set_apart(batches: Iterator[pa.RecordBatch], explained: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The scores of each batch, until there are REASONS_A_COPY rows with reasons in `explained`."""
    for batch in batches:
        explained.append(batch.filter(batch["reasons"].is_valid()))
        yield batch.select(SCORES.names)
        if sum(map(len, explained)) >= REASONS_A_COPY:
            return


def load_reasons(connection: Connection, run: ScoringRun, batches: Iterable[pa.RecordBatch]) -> int:
    """Copy batches of REASONS, of explained customers only, into the run's table of reasons; return the row count."""
    return _copy(connection, _table("score_reasons", run), REASONS, batches)


def carry_over(connection: Connection, run: ScoringRun, part: ScoringPart, base: ScoringRun) -> int:
    """Take the scores of customers with the very same features over from the base run; return how many."""
    statement = sql.SQL(query("carry_scores_over")).format(
        scores=_table("scores", run), unchanged=unchanged_since(base), in_part=in_part(run, part)
    )
    return connection.execute(statement).rowcount


def close(connection: Connection, run: ScoringRun) -> None:
    """End the loading of a run: its scores are complete, and known to the server's planner. Twice is no harm."""
    connection.execute(query("close_score_table"), {"scoring_run_id": run.scoring_run_id, "base": "scores"})


def rank(connection: Connection, run: ScoringRun) -> None:
    """Count a loaded run, find its percentile cuts, and call it scored."""
    with connection.transaction():
        connection.execute("SET LOCAL work_mem = '64MB'")  # one sort of all probabilities
        statement = sql.SQL(query("mark_run_scored")).format(scores=_table("scores", run))
        connection.execute(statement, {"scoring_run_id": run.scoring_run_id})


def seal(connection: Connection, run: ScoringRun) -> None:
    """Give the scores their key and take away every right to add to them; sealing twice changes nothing.

    One statement that commits by itself: a worker that stops in it leaves no lock behind for other runs to wait for.
    """
    connection.execute(query("seal_score_table"), {"scoring_run_id": run.scoring_run_id, "base": "scores"})


def withdraw_reasons(connection: Connection, run: ScoringRun, before: float) -> None:
    """Take the reasons of a ranked run back that customers below a probability got with their scores."""
    connection.execute(query("withdraw_reasons"), {"scoring_run_id": run.scoring_run_id, "before": before})


def mark_explained(connection: Connection, run: ScoringRun) -> int:
    """Count and record how many customers have reasons, in the transaction that completes them."""
    statement = sql.SQL(query("mark_run_explained")).format(reasons=_table("score_reasons", run))
    row = connection.execute(statement, {"scoring_run_id": run.scoring_run_id}).fetchone() or {}
    return int(row.get("explained_count", 0))


def seal_reasons(connection: Connection, run: ScoringRun) -> None:
    """Seal the run's reasons as its scores are sealed."""
    connection.execute(query("seal_score_table"), {"scoring_run_id": run.scoring_run_id, "base": "score_reasons"})


def drop(connection: Connection, run: ScoringRun) -> bool:
    """Drop the tables of a run that nobody needs; False where a reader was in the way, who is not kept waiting."""
    try:
        with connection.transaction():
            connection.execute(query("drop_score_tables"), {"scoring_run_id": run.scoring_run_id})
    except psycopg.errors.LockNotAvailable:
        return False
    return True


def summarise(connection: Connection, run: ScoringRun) -> ScoreSummary:
    """Read what the checks before publishing look at from a sealed run."""
    row = connection.execute(
        query("summarise_run"), {"scoring_run_id": run.scoring_run_id, "extract_id": run.extract_id}
    ).fetchone()
    digests = {part.model_digest or "" for part in of_run(connection, run.scoring_run_id)}
    return ScoreSummary(**(row or {}), cuts=tuple(run.percentile_cuts or ()), model_digests=tuple(sorted(digests)))


def find(connection: Connection, run: ScoringRun, customer_id: str) -> StoredScore | None:
    """One customer's score in a run, or None where the run did not score them or its scores are dropped."""
    row = connection.execute(
        query("get_score"), {"scoring_run_id": run.scoring_run_id, "customer_id": customer_id}
    ).fetchone()
    return StoredScore(**{name: row[name] for name in StoredScore.__dataclass_fields__}) if row else None


def compare(connection: Connection, shadow: ScoringRun, shown: ScoringRun) -> RunComparison:
    """Compare a shadow run with a published run, and keep the result for monitoring."""
    named = {"scoring_run_id": shadow.scoring_run_id, "compared_run_id": shown.scoring_run_id}
    row = connection.execute(query("compare_runs"), named).fetchone() or {}
    if row["customer_count"]:
        connection.execute(query("record_shadow_comparison"), row | named)
    return RunComparison(**row)


def top(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """The published customers with the highest probabilities: id, probability, decile, risk level."""
    return connection.execute(query("top_scores"), {"limit": limit}).fetchall()


def _table(base: str, run: ScoringRun) -> sql.Identifier:
    return sql.Identifier("churn", f"{base}_{int(run.scoring_run_id)}")


def _copy(connection: Connection, table: sql.Identifier, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    encoder = ArrowToPostgresBinaryEncoder(schema)
    columns = sql.SQL(", ").join(map(sql.Identifier, schema.names))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(table, columns)
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            copy.write(encoder.write_header())
            for batch in batches:
                copy.write(encoder.write_batch(batch))
            copy.write(encoder.finish())
        return cursor.rowcount  # as the server counted them
