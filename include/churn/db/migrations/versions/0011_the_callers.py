"""Who may ask the API, and what it answered."""

from churn.db.migrations import run_sql_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Apply the revision; the way back is a restored backup."""
    run_sql_file("0011_the_callers.sql")
