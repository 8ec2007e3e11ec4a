"""What a dashboard or an alert rule asks, run as it is: its SQL is a reviewed file of include/grafana."""

from typing import Any

from churn.db.database import Database


def ask(database: Database, sql: str) -> list[dict[str, Any]]:
    """The rows of one query, which may only read. Raises DatabaseUnavailable."""
    with database.transaction() as connection:
        connection.execute("SET TRANSACTION READ ONLY")
        return connection.execute(sql.encode()).fetchall()
