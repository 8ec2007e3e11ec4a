"""The scores of a run: loaded into a partition of their own, summarised for the checks, read for the report."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import sql

from churn.db.database import Connection, query
from churn.policy import Policy


@dataclass(frozen=True)
class ScoreSummary:
    """What the checks before publishing look at.

    `missing_count` is the number of customers of the snapshot without a score; probabilities are 0..1.
    """

    row_count: int
    missing_count: int
    lowest: float | None
    highest: float | None
    mean: float | None


def load(
    connection: Connection,
    scoring_run_id: int,
    parts: Iterable[tuple[list[str], npt.NDArray[np.float64]]],
    policy: Policy,
) -> int:
    """Load the run's probabilities into a new partition, with decile and risk level; return the row count.

    `parts` yields (customer ids, probabilities). Nothing is visible to anyone before the caller commits.
    """
    # Deciles need every probability of the run, so the raw ones wait in a table of this transaction.
    loaded = sql.Identifier("staging", f"scores_of_run_{int(scoring_run_id)}")
    connection.execute(
        sql.SQL('CREATE TABLE {} (customer_id text COLLATE "C", churn_probability double precision)').format(loaded)
    )
    count = 0
    with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(loaded)) as copy:
        copy.set_types(["text", "float8"])
        for customer_ids, probabilities in parts:
            for row in zip(customer_ids, probabilities.tolist(), strict=True):
                copy.write_row(row)
            count += len(customer_ids)
    connection.execute("SELECT churn.add_scores_partition(%s)", (scoring_run_id,))
    connection.execute(
        sql.SQL(query("rank_scores")).format(loaded=loaded),
        {
            "scoring_run_id": scoring_run_id,
            "high_risk_from": policy.high_risk_from,
            "medium_risk_from": policy.medium_risk_from,
        },
    )
    connection.execute(sql.SQL("DROP TABLE {}").format(loaded))
    return count


def summarise(connection: Connection, scoring_run_id: int, extract_id: int) -> ScoreSummary:
    """Read what the checks before publishing look at."""
    row = connection.execute(
        query("summarise_scores"), {"scoring_run_id": scoring_run_id, "extract_id": extract_id}
    ).fetchone()
    return ScoreSummary(**(row or {}))


def top(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """The published customers with the highest probabilities: id, probability, decile, risk level."""
    return connection.execute(query("top_scores"), {"limit": limit}).fetchall()
