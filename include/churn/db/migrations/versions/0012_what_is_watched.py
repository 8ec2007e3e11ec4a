"""What Grafana reads: rollups of the request log and of published scores, deciles that came true, short views."""

from churn.db.migrations import run_sql_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Apply the revision; the way back is a restored backup."""
    run_sql_file("0012_what_is_watched.sql")
