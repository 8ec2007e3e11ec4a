"""Reasons are given while the scores are made; what the ranking does not ask for is taken back."""

from churn.db.migrations import run_sql_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Apply the revision; the way back is a restored backup."""
    run_sql_file("0006_reasons_beside_scores.sql")
