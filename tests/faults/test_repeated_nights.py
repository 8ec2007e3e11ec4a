"""The same date again and again: the same bytes, whether the run is found published or made anew."""

from churn.jobs.score_customers import score_customers
from tests.faults.evening import TODAY, Evening, with_policy


def test_the_same_date_three_times_gives_the_same_bytes(evening: Evening) -> None:
    runs = [score_customers(evening.services, day=TODAY) for _ in range(3)]
    assert runs[0] == runs[1] == runs[2]
    evening.require_finished()


def test_new_runs_of_the_same_date_give_the_same_bytes(evening: Evening) -> None:
    """Each policy supersedes the run of the other, and a superseded run is never taken up again."""
    other_policy = with_policy(evening.services, maximum_mean_shift=0.06)
    texts, run_ids = set(), set()
    for services in (evening.services, other_policy, evening.services):
        run_ids.add(score_customers(services, day=TODAY).scoring_run_id)
        texts.add(evening.table().text)
    assert len(run_ids) == 3
    assert texts == {evening.undisturbed}
    assert {seen.text for seen in evening.watch.seen} <= {evening.yesterday, evening.undisturbed}
    assert evening.states() == {"published": 2, "superseded": 2}
    evening.require_no_leftovers()
