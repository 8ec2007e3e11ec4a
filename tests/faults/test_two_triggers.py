"""Two triggers for one date at the same moment: one run, each customer once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from churn.jobs.score_customers import open_run
from churn.jobs.score_part import score_part
from tests.faults.children import start_night, wait_until
from tests.faults.evening import Evening
from tests.faults.places import Place

ATTEMPTS = "SELECT attempt, worker FROM churn.scoring_parts ORDER BY scoring_run_id"


def test_two_nights_at_the_same_moment_publish_one_run(evening: Evening, tmp_path: Path) -> None:
    nights = [start_night(evening.services, tmp_path / f"{name}.log", wait_for_go=True) for name in ("one", "other")]
    for night in nights:
        night.wait_until_ready()
    for night in nights:
        night.go()
    assert [night.wait() for night in nights] == [0, 0], "\n".join(night.said() for night in nights)
    assert all("published run 2" in night.said() for night in nights)
    assert [row["attempt"] for row in evening.ask(ATTEMPTS)] == [1, 1]
    evening.require_finished()


def test_a_second_worker_on_a_part_waits_for_the_first_and_scores_nothing(evening: Evening, tmp_path: Path) -> None:
    first = start_night(evening.services, tmp_path / "first.log", Place("during", "churn.jobs.score_part.prefetched"))
    first.wait_until_stopped()
    run = open_run(evening.services)
    with ThreadPoolExecutor() as pool:
        second = pool.submit(score_part, evening.services, run.scoring_run_id, 1)
        wait_until(lambda: _waits_for_lock(evening), "the second worker has asked who holds the part")
        assert not second.done()
        first.wake()
        part = second.result()
    assert first.wait() == 0
    assert (part.attempt, part.row_count) == (1, run.customer_count)
    assert evening.ask(ATTEMPTS)[-1]["worker"].endswith(f":{first.process.pid}")
    evening.require_finished()


def _waits_for_lock(evening: Evening) -> bool:
    return any("FROM pg_locks" in session["query"] for session in evening.sessions())
