"""What a model learns from is what became true after a snapshot, and the suite of a training judges those rows."""

from churn.db.migrations import run_sql_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Apply the revision; the way back is a restored backup."""
    run_sql_file("0006_settled_labels.sql")
