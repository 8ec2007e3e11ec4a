"""What the API reads of the night, and the answers that it keeps for callers who may have to ask again."""

from churn.db.migrations import run_sql_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Apply the revision; the way back is a restored backup."""
    run_sql_file("0010_the_endpoint.sql")
