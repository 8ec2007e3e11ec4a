"""The ledger of promotions: rollbacks are in it, and nothing in it changes."""

from churn.db.migrations import run_sql_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply the revision; the way back is a restored backup."""
    run_sql_file("0004_the_ledger.sql")
