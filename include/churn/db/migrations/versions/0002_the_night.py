"""The night: parts, one table a run until it is sealed, percentile cuts, reasons, engines, publications."""

from churn.db.migrations import run_sql_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply the revision; the way back is a restored backup."""
    run_sql_file("0002_the_night.sql")
