"""The evening before: yesterday's table is published, today's customers are admitted, the night may come."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from psycopg import sql
from psycopg.abc import Query

from churn.policy import Policy
from churn.services import Services
from churn.settings import Settings
from tests.conftest import TestDatabase, TestMlflow
from tests.faults.children import wait_until
from tests.faults.readers import Table, Watch, read_table
from tests.jobs import DAY, with_changes

YESTERDAY, TODAY = DAY - timedelta(days=1), DAY
YESTERDAY_COUNT, TODAY_COUNT = 6_000, 40_000
YESTERDAY_RUN = 1


def open_services(database: TestDatabase, mlflow_server: TestMlflow, home: Path) -> Services:
    """The real services on a database, with folders of their own."""
    url = database.as_role("churn_pipeline").url
    return Services.from_settings(Settings(home=home, database_url=url, MLFLOW_TRACKING_URI=mlflow_server.tracking_uri))


def with_policy(services: Services, **changes: Any) -> Services:
    """The same services under a policy that differs in what is named."""
    return with_changes(services, policy=Policy(**changes))


@dataclass(frozen=True)
class Evening:
    """One test's own copy of the evening, and a CRM reader who watches it.

    `yesterday` is the published table, `undisturbed` what tonight's is when nothing happens.
    """

    services: Services
    database: TestDatabase
    model_version: int
    watch: Watch
    yesterday: str
    undisturbed: str

    def table(self) -> Table:
        """What CRM reads now."""
        return read_table(self.database.as_role("crm_reader").url)

    def require_yesterday(self) -> None:
        """Readers see yesterday's table, byte for byte."""
        assert self.table() == Table([YESTERDAY_RUN], YESTERDAY_COUNT, YESTERDAY_COUNT, self.yesterday)

    def require_finished(self) -> None:
        """Tonight ended as if nothing had happened: the same bytes, never anything else to see, nothing left over."""
        table = self.table()
        assert table.text == self.undisturbed
        assert table.is_whole
        assert table.row_count == TODAY_COUNT
        assert {seen.text for seen in self.watch.seen} <= {self.yesterday, self.undisturbed}
        self.require_no_leftovers()
        assert self.publications() == [(YESTERDAY_RUN, "publish"), (table.run_ids[0], "publish")]  # type: ignore[index]
        assert self.states() == {"published": 2}

    def require_no_leftovers(self) -> None:
        """Each run has its two tables with the rows that it counted; no other table, part or session is there."""
        runs = self.ask("SELECT scoring_run_id, scored_count, explained_count, state FROM churn.scoring_runs")
        expected = {}
        for run in runs:
            assert run["state"] not in ("open", "scored"), f"run {run['scoring_run_id']} is unfinished"
            expected[f"scores_{run['scoring_run_id']}"] = run["scored_count"]
            expected[f"score_reasons_{run['scoring_run_id']}"] = run["explained_count"]
        assert self._table_counts() == expected
        parts = self.ask(
            "SELECT sum(row_count) AS count, count(*) - count(finished_at) AS open FROM churn.scoring_parts"
        )
        assert parts == [{"count": sum(run["scored_count"] for run in runs), "open": 0}]
        wait_until(lambda: not self.sessions(), "every connection of the pipeline is closed", 30)

    def publications(self) -> list[tuple[int, str]]:
        """The ledger: each run and what was done with it."""
        rows = self.ask("SELECT scoring_run_id, action FROM churn.publications ORDER BY publication_id")
        return [(row["scoring_run_id"], row["action"]) for row in rows]

    def states(self) -> Counter[str]:
        """How many runs there are in each state."""
        return Counter(row["state"] for row in self.ask("SELECT state FROM churn.scoring_runs"))

    def sessions(self) -> list[dict[str, Any]]:
        """The connections of the pipeline that the server has."""
        return self.ask(
            "SELECT pid, state, query FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = 'churn_pipeline'"
        )

    def copied_count(self) -> int:
        """The rows that the server has taken from a COPY that is still under way."""
        rows = self.ask("SELECT tuples_processed AS n FROM pg_stat_progress_copy WHERE command = 'COPY FROM'")
        return sum(row["n"] for row in rows)

    def ask(self, statement: Query) -> list[dict[str, Any]]:
        """The rows of a statement, as superuser."""
        with self.database.as_role("postgres").transaction() as connection:
            return connection.execute(statement).fetchall()

    def _table_counts(self) -> dict[str, int]:
        """The rows of each table of scores or reasons of a run, whether or not it is a partition yet."""
        tables = self.ask(
            "SELECT relname AS name FROM pg_class WHERE relnamespace = 'churn'::regnamespace AND relkind = 'r'"
            " AND relname ~ '^score(s|_reasons)_[0-9]+$'"
        )
        counts = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {} AS name, count(*) AS n FROM {}").format(
                sql.Literal(table["name"]), sql.Identifier("churn", table["name"])
            )
            for table in tables
        )
        return {row["name"]: row["n"] for row in self.ask(counts)}
