"""What was prepared for an extract that is not admitted is dropped at once, not by the next one."""

from churn.db.migrations import run_sql_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply the revision; the way back is a restored backup."""
    run_sql_file("0005_nothing_half_done.sql")
