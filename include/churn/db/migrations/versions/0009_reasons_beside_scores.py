"""Reasons are given while the scores are made; what the ranking does not ask for is taken back."""

from churn.db.migrations import run_sql_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Apply the revision; the way back is a restored backup."""
    run_sql_file("0009_reasons_beside_scores.sql")
