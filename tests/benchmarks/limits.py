"""The time that the stages of a night would take if they overlapped perfectly on two cores."""

from collections.abc import Mapping
from dataclasses import dataclass

CORES = 2
STREAMED = ("read", "predict", "write")  # at once
SERIAL = ("key", "checks")  # one after the other, when all rows are there


@dataclass(frozen=True)
class StageLimit:
    """No pipeline of these stages is faster than `seconds`; `bound_by` is what the streaming part waits for."""

    streaming_seconds: float
    serial_seconds: float
    bound_by: str

    @property
    def seconds(self) -> float:
        """The whole night."""
        return self.streaming_seconds + self.serial_seconds


def stage_limit(stages: Mapping[str, Mapping[str, float]]) -> StageLimit | None:
    """The limit from the stages' costs measured alone, None where a stage was not measured.

    While rows stream, nothing is faster than the slowest stage, nor than all CPU seconds over the cores.
    """
    if not {*STREAMED, *SERIAL} <= stages.keys():
        return None
    bounds = {stage: stages[stage]["seconds"] for stage in STREAMED}
    bounds["two cores"] = sum(stages[stage]["client_cpu"] + stages[stage]["server_cpu"] for stage in STREAMED) / CORES
    bound_by = max(bounds, key=lambda name: bounds[name])
    return StageLimit(bounds[bound_by], sum(stages[stage]["seconds"] for stage in SERIAL), bound_by)
