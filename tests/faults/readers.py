"""What CRM reads, and a reader who looks all the time."""

import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psycopg
from psycopg.rows import class_row

LOOK_EVERY_SECONDS = 0.05

_READ = """
SELECT array_agg(DISTINCT scoring_run_id) AS run_ids, count(*) AS row_count,
       count(DISTINCT customer_id) AS customer_count,
       string_agg((customer_id, churn_probability, decile, percentile_rank, risk_level, reasons)::text, E'\\n'
                  ORDER BY customer_id) AS text
FROM crm.churn_scores
"""


@dataclass(frozen=True)
class Table:
    """What one statement saw of crm.churn_scores: which runs, how many rows, and every byte that does not name the run.

    PostgreSQL writes a float with as many digits as make it unique, so equal text means equal bits.
    """

    run_ids: list[int] | None
    row_count: int
    customer_count: int
    text: str | None

    @property
    def is_whole(self) -> bool:
        """One run, and nobody twice."""
        return len(self.run_ids or ()) == 1 and self.row_count == self.customer_count > 0


def read_table(url: str) -> Table:
    """What a reader sees now."""
    with psycopg.connect(url, row_factory=class_row(Table)) as connection:
        return _read(connection)


def _read(connection: psycopg.Connection[Table]) -> Table:
    table = connection.execute(_READ).fetchone()
    assert table
    return table


class Watch:
    """A reader who looks all the time, in a thread of its own, and remembers each table that differed from the last."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, row_factory=class_row(Table), autocommit=True)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._failure: Exception | None = None
        self.seen: list[Table] = []
        self.count = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()
        self._connection.close()
        if self._failure:
            raise self._failure

    def _look(self) -> None:
        try:
            while not self._end.wait(LOOK_EVERY_SECONDS):
                table = _read(self._connection)
                self.count += 1
                if not self.seen or table != self.seen[-1]:
                    self.seen.append(table)
        except psycopg.Error as error:
            self._failure = error
