"""The gate may propose a version that a person then promotes."""

from churn.db.migrations import run_sql_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Apply the revision; the way back is a restored backup."""
    run_sql_file("0007_a_person_decides.sql")
