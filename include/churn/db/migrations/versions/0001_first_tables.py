"""The first tables, roles' rights and partition functions."""

from churn.db.migrations import run_sql_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run 0001_first_tables.sql."""
    run_sql_file("0001_first_tables.sql")
