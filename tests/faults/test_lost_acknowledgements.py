"""A connection that is cut when the server has committed and the job has not heard of it."""

import pytest

from churn.db.database import Database
from churn.errors import DatabaseUnavailable
from churn.jobs.score_customers import score_customers
from tests.faults.evening import Evening
from tests.faults.proxy import Proxy
from tests.jobs import with_changes

MARKER, POINTER = "UPDATE churn.scoring_parts AS part", "INSERT INTO churn.publications"
PARTS = "SELECT part_number, attempt, worker, claimed_at, finished_at, row_count FROM churn.scoring_parts ORDER BY 1, 2"


def test_a_part_whose_commit_was_not_acknowledged_is_found_done(evening: Evening) -> None:
    parts = _lose_acknowledgement_of(evening, MARKER)
    assert all(part["finished_at"] for part in parts)
    evening.require_yesterday()
    score_customers(evening.services)
    assert evening.ask(PARTS) == parts  # nobody claimed or scored it again
    evening.require_finished()


def test_a_publication_whose_commit_was_not_acknowledged_is_found_done(evening: Evening) -> None:
    _lose_acknowledgement_of(evening, POINTER)
    evening.require_finished()
    score_customers(evening.services)
    evening.require_finished()


def _lose_acknowledgement_of(evening: Evening, statement: str) -> list[dict[str, object]]:
    """Run the night through a proxy that loses the answer to one COMMIT; return the parts as they are then."""
    port = evening.database.server.port
    with Proxy(port, statement) as proxy:
        through = Database(evening.services.database.url.replace(f":{port}/", f":{proxy.port}/"))
        with pytest.raises(DatabaseUnavailable, match="Run this again: what is finished is skipped"):
            score_customers(with_changes(evening.services, database=through))
        assert proxy.has_cut
    return evening.ask(PARTS)
