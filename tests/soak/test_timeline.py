"""How far behind an answer is, worked out from what whoever moved the alias knows."""

import pytest

from tests.soak.callers import Answered
from tests.soak.timeline import Timeline


def answer(version: int, sent: float, received: float) -> Answered:
    return Answered(0, sent, received, "x", 200, version, 0.5)


@pytest.fixture
def timeline() -> Timeline:
    """Version 1 from 0, version 2 from 10 (moved between 10 and 11), version 1 again from 30."""
    made = Timeline()
    for version, before, after in ((1, 0.0, 0.0), (2, 10.0, 11.0), (1, 30.0, 31.0)):
        made.moved(version, before, after)
    return made


@pytest.mark.parametrize(
    ("version", "sent", "received", "behind"),
    [
        (1, 5.0, 5.1, 0.0),
        (1, 10.9, 12.0, 0.0),  # the move may not have been done yet
        (1, 14.0, 14.1, 3.0),
        (2, 9.0, 9.9, None),  # too early
        (2, 9.0, 10.1, 0.0),
        (2, 33.0, 33.1, 2.0),
        (1, 40.0, 40.1, 0.0),
        (3, 5.0, 5.1, None),
    ],
)
def test_an_answer_is_as_far_behind_as_its_version_had_ended_before_it_was_asked_for(
    timeline: Timeline, version: int, sent: float, received: float, behind: float | None
) -> None:
    assert timeline.behind([answer(version, sent, received)]) == [behind]


def test_while_the_registry_is_away_nobody_falls_behind(timeline: Timeline) -> None:
    timeline.outages.append((12.0, 15.0))
    assert timeline.behind([answer(1, 14.0, 14.1), answer(1, 16.0, 16.1)]) == [1.0, 2.0]
