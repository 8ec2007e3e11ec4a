"""What must be true of a soak, step by step: the same for the short one of every day and the one of five minutes."""

import json
import sys
import time
from dataclasses import dataclass

from tests.benchmarks.load import percentiles
from tests.soak.upheaval import (
    FOLLOW_SECONDS,
    MEMORY_GROWTH,
    Soak,
    behind,
    failures_since,
    growth,
    not_logged,
    warm,
    wrong_answers,
)

SECONDS_AROUND = 2.0  # callers go on before and after a worker ends
SECONDS_TO_RETRY = 30.0


@dataclass
class Story:
    """A soak from its first call to the end of the server; `told` is what was seen, in numbers."""

    soak: Soak
    told: dict[str, object]

    def through_upheaval(self, mlflow_away: float, restarts: tuple[float, ...], mlflow_at: float) -> None:
        """The alias moves, MLflow is stopped and started, PostgreSQL restarts: no prediction fails."""
        soak = self.soak
        began = time.monotonic()
        soak.run({mlflow_at: lambda: soak.stop_mlflow(mlflow_away), **dict.fromkeys(restarts, soak.restart_postgres)})
        assert soak.callers.failed == []
        assert wrong_answers(soak) == []
        seconds = time.monotonic() - began
        grown = {pid: growth(warm(of, began, soak.seconds)) for pid, of in soak.memory.items()}
        self.told |= {
            "seconds": round(seconds),
            "answers": len(soak.callers.answered),
            "a second": round(len(soak.callers.answered) / seconds),
            "milliseconds": percentiles(each.received - each.sent for each in soak.callers.answered),
            "moves of the alias": len(soak.timeline.moves) - 1,
            "registry away, seconds": [round(end - start, 1) for start, end in soak.timeline.outages],
            "memory of the workers, MB": [[of[0][1] >> 20, of[-1][1] >> 20] for of in soak.memory.values()],
            "memory grows after warming up by": [f"{share:.1%}" for share in grown.values()],
        }

    def memory_is_flat(self, began_seconds: float) -> None:
        """No worker grows after it has warmed up."""
        for samples in self.soak.memory.values():
            first = samples[0][0]
            assert growth(warm(samples, first, began_seconds)) < MEMORY_GROWTH

    def a_killed_worker(self) -> None:
        """kill -9 costs at most what the worker held, and each of those succeeds at its first retry."""
        soak = self.soak
        soak.callers.wait(SECONDS_AROUND)
        moment = time.monotonic()
        held = soak.place.kill_worker()
        soak.callers.wait(SECONDS_AROUND)
        soak.callers.wait_for_retries(SECONDS_TO_RETRY)
        failed = failures_since(soak.callers, moment)
        assert {each.port for each in failed} <= held
        assert len(failed) <= len(held)
        assert [each for each in failed if each.retried is None or each.retried.status != 200] == []
        self.told |= {"kill -9: held": len(held), "kill -9: failed, each answered at its first retry": len(failed)}

    def an_ended_worker(self) -> None:
        """SIGTERM to a worker costs nothing."""
        soak = self.soak
        moment = time.monotonic()
        soak.place.end_worker()
        soak.callers.wait(SECONDS_AROUND)
        assert failures_since(soak.callers, moment) == []

    def the_end(self) -> None:
        """SIGTERM to the server costs no request that it had accepted; then the log is complete."""
        soak = self.soak
        moment = time.monotonic()
        assert soak.end() == 0
        lost = failures_since(soak.callers, moment)
        # The kernel may have made a connection that the server, which listened no more, never saw.
        assert [each for each in lost if each.began or not each.on_new] == []
        assert wrong_answers(soak) == []
        self._versions_were_production()
        missing, dropped, twice = not_logged(soak)
        killed = self.told.get("kill -9: failed, each answered at its first retry", 0)
        assert isinstance(killed, int)
        assert len(missing) <= dropped <= len(missing) + killed
        assert twice == 0
        self.told |= {
            "SIGTERM: connections that were never accepted": len(lost),
            "answers, all": len(soak.callers.answered) + killed,
            "answers that are not in the log": len(missing),
            "counted as dropped": dropped,
        }

    def _versions_were_production(self) -> None:
        """Every version answered was Production within the time that a worker takes to follow, and none too early."""
        late = behind(self.soak)
        assert max(late) <= FOLLOW_SECONDS
        fresh = sum(1 for each in late if each == 0)
        self.told |= {
            "answers by what was Production during the request": f"{fresh / len(late):.1%}",
            "others behind by, seconds": {name: ms / 1000 for name, ms in percentiles(x for x in late if x).items()},
        }

    def tell(self) -> None:
        """Write what was seen."""
        sys.stdout.write(f"\n{json.dumps(self.told, indent=1)}\n")
