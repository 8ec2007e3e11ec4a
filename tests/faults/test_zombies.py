"""An attempt that stood still, was taken over, and wakes when its successor has published: it can write nothing."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from churn.core.engines import Engine
from churn.errors import ChurnError, RunNotOpen, RunRejected
from churn.jobs.check_scores import check_scores
from churn.jobs.choose_engine import choose_engine
from churn.jobs.publish_scores import publish_scores
from churn.jobs.reject_run import reject_run
from churn.jobs.score_customers import open_run, score_customers
from churn.jobs.score_part import score_part
from churn.policy import Policy
from tests.faults.children import start_night, wait_until
from tests.faults.evening import Evening, with_policy
from tests.faults.places import Place
from tests.jobs import with_changes
from tests.nights import run_of

WITHIN_A_PART = Place("during", "churn.jobs.score_part.prefetched")
WITHIN_THE_SEAL = Place("before", "churn.db.scores.query", "mark_run_explained")
NIGHT_SECONDS = 20.0
PLACES = [
    WITHIN_A_PART,
    WITHIN_THE_SEAL,
    Place("before", "churn.db.scoring_runs.mark_checked"),
    Place("after", "churn.db.publications.publish"),
]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_zombie_that_wakes_after_its_successor_published_writes_nothing(
    evening: Evening, tmp_path: Path, policy_file: Path, place: Place
) -> None:
    zombie = start_night(evening.services, tmp_path / "zombie.log", place, policy_file)
    zombie.wait_until_stopped()
    if place == WITHIN_A_PART:
        wait_until(evening.copied_count, "the server has taken rows of the part")
    evening.require_yesterday()
    successor = score_customers(with_changes(evening.services, policy=Policy.load(policy_file)))
    assert evening.table().text == evening.undisturbed
    zombie.wake()
    assert zombie.wait() != 0
    assert "churn.errors.DatabaseUnavailable" in zombie.said()
    assert run_of(evening.services, successor.scoring_run_id) == successor
    evening.require_finished()


def test_an_older_run_of_a_date_is_not_published_over_a_newer_one(evening: Evening) -> None:
    late = with_policy(evening.services, maximum_mean_shift=0.06)
    older = open_run(late).scoring_run_id
    score_part(late, older, 1)
    assert check_scores(late, older).state == "checked"
    newer = score_customers(evening.services)
    with pytest.raises(RunNotOpen, match="superseded"):
        publish_scores(late, older)
    assert run_of(late, older).state == "superseded"
    assert evening.table().run_ids == [newer.scoring_run_id]
    assert evening.table().text == evening.undisturbed
    evening.require_no_leftovers()


def test_an_older_run_whose_part_is_under_way_when_a_newer_one_is_published_comes_to_nothing(
    evening: Evening, tmp_path: Path
) -> None:
    zombie = start_night(evening.services, tmp_path / "zombie.log", WITHIN_A_PART, _other_policy(tmp_path))
    zombie.wait_until_stopped()
    newer = score_customers(evening.services)
    zombie.wake()
    assert zombie.wait() != 0
    assert "churn.errors.TakenOver" in zombie.said()
    assert evening.table().run_ids == [newer.scoring_run_id]
    assert evening.table().text == evening.undisturbed
    assert evening.states() == {"published": 2, "superseded": 1}
    assert evening.ask("SELECT count(*) AS n FROM churn.scores_2") == [{"n": 0}]


def test_a_zombie_within_its_seal_does_not_hold_up_the_night_of_another_run(
    evening: Evening, tmp_path: Path, policy_file: Path
) -> None:
    zombie = start_night(evening.services, tmp_path / "zombie.log", WITHIN_THE_SEAL, _other_policy(tmp_path))
    zombie.wait_until_stopped()
    with ThreadPoolExecutor() as pool:
        night = pool.submit(score_customers, with_changes(evening.services, policy=Policy.load(policy_file)))
        try:
            newer = night.result(NIGHT_SECONDS)
        finally:
            zombie.wake()
    assert zombie.wait() != 0
    assert evening.table().run_ids == [newer.scoring_run_id]
    assert evening.table().text == evening.undisturbed


def test_a_zombie_whose_machine_computed_nonsense_cannot_reject_what_its_successor_scored(
    evening: Evening, policy_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The zombie is this very call: while it is about to reject, its successor takes over and finishes."""
    services = with_changes(evening.services, policy=Policy.load(policy_file))
    run_id = open_run(services).scoring_run_id

    def wake_late(*arguments: Any) -> RunRejected:
        monkeypatch.undo()
        score_part(services, run_id, 1)
        assert check_scores(services, run_id).state == "checked"
        return reject_run(*arguments)

    monkeypatch.setattr("churn.jobs.score_part.reject_run", wake_late)
    monkeypatch.setattr("churn.jobs.score_part.choose_engine", _engine_of_a_broken_machine)
    with pytest.raises(ChurnError):
        score_part(services, run_id, 1)
    assert run_of(services, run_id).state == "checked"
    publish_scores(services, run_id)
    evening.require_finished()


def _engine_of_a_broken_machine(*arguments: Any) -> Engine:
    return replace(choose_engine(*arguments), probabilities=lambda matrix: np.full(len(matrix), np.nan))


def _other_policy(folder: Path) -> Path:
    """Another policy makes another run of the same date."""
    path = folder / "other.toml"
    path.write_text("takeover_after_seconds = 1\nmaximum_mean_shift = 0.06\n", "utf-8")
    return path
