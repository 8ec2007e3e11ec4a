"""The door: how extracts land, what the suites measure, and quarantined rows that are released."""

from churn.db.migrations import run_sql_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply the revision; the way back is a restored backup."""
    run_sql_file("0003_the_door.sql")
