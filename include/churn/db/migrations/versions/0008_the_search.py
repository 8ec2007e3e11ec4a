"""What the search for parameters has tried, and what candidates are worth: kept, so that nothing is learned twice."""

from churn.db.migrations import run_sql_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Apply the revision; the way back is a restored backup."""
    run_sql_file("0008_the_search.sql")
