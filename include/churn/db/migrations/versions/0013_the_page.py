"""What the page at / shows of a customer beside the score."""

from churn.db.migrations import run_sql_file

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Apply the revision; the way back is a restored backup."""
    run_sql_file("0013_the_page.sql")
