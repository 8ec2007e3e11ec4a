"""Half a minute of what `make test-soak` does for five: 50 callers while versions, services and workers come and go."""

from tests.soak.held import Story
from tests.soak.place import running_place
from tests.soak.upheaval import Soak

SECONDS = 40


def test_no_prediction_fails_while_versions_services_and_workers_come_and_go() -> None:
    with running_place() as place:
        soak = Soak(place, SECONDS, pause=0.05)
        story = Story(soak, {})
        with soak.callers:
            story.through_upheaval(mlflow_away=3, restarts=(0.9,), mlflow_at=0.5)
            story.a_killed_worker()
            story.an_ended_worker()
            story.the_end()
        assert len(soak.timeline.moves) > 3
