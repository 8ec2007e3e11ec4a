"""Five minutes at 50 concurrent (`make test-soak`, SOAK_SECONDS for another time). The short one is in tests/api."""

import os

import pytest

from tests.soak.held import Story
from tests.soak.place import running_place
from tests.soak.upheaval import Soak

SECONDS = float(os.environ.get("SOAK_SECONDS") or 300)


@pytest.mark.timeout(SECONDS + 600)
def test_five_minutes_of_upheaval_cost_no_prediction(capsys: pytest.CaptureFixture[str]) -> None:
    with running_place() as place:
        soak = Soak(place, SECONDS)
        story = Story(soak, {})
        with soak.callers:
            story.through_upheaval(mlflow_away=20, restarts=(0.15, 0.5, 0.85), mlflow_at=0.3)
            story.a_killed_worker()
            story.an_ended_worker()
            story.the_end()
        with capsys.disabled():
            story.tell()
        story.memory_is_flat(SECONDS)
