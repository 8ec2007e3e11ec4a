"""kill -9 at any step of the night: yesterday's table stays, and the next run ends as if nothing had happened."""

from pathlib import Path

import pytest

from churn.jobs.score_customers import score_customers
from tests.faults.children import start_night, wait_until
from tests.faults.evening import Evening
from tests.faults.places import Place

WITHIN_A_PART = Place("during", "churn.jobs.score_part.prefetched")
AFTER_THE_COMMIT = Place("before", "churn.jobs.score_customers.drop_old_scores")
BEFORE_THE_COMMIT = [
    Place("after", "churn.jobs.score_customers.open_run"),
    WITHIN_A_PART,
    Place("before", "churn.db.scoring_parts.finish"),
    Place("before", "churn.jobs.score_customers.check_scores"),
    Place("before", "churn.db.scores.query", "mark_run_scored"),
    Place("before", "churn.db.scores.query", "mark_run_explained"),
    Place("before", "churn.db.scoring_runs.mark_checked"),
    Place("after", "churn.db.publications.publish"),
]


@pytest.mark.parametrize("place", BEFORE_THE_COMMIT, ids=str)
def test_a_night_killed_before_it_is_published_is_finished_by_the_next(
    evening: Evening, tmp_path: Path, place: Place
) -> None:
    child = start_night(evening.services, tmp_path / "night.log", place)
    child.wait_until_stopped()
    if place == WITHIN_A_PART:
        wait_until(evening.copied_count, "the server has taken rows of the part")
    evening.require_yesterday()
    child.kill()
    evening.require_yesterday()
    score_customers(evening.services)
    evening.require_finished()


def test_a_night_killed_after_its_pointer_was_committed_is_published(evening: Evening, tmp_path: Path) -> None:
    child = start_night(evening.services, tmp_path / "night.log", AFTER_THE_COMMIT)
    child.wait_until_stopped()
    child.kill()
    evening.require_finished()
    score_customers(evening.services)
    evening.require_finished()
