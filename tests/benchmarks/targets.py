"""What must be shown, line by line, and whether this run shows it."""

import math
from dataclasses import dataclass, replace

from tests.benchmarks.endpoint_modes import CONNECTIONS, FIXED, LONE, OURS, PEER, RATE, SATURATED
from tests.benchmarks.limits import stage_limit
from tests.benchmarks.results import Results

MIDDLE, LARGE = 1_000_000, 10_000_000
STREAMING_RATIO, PROCESS_RATIO = 20.0, 7.0
LARGE_SECONDS, LIMIT_RATIO = 40.0, 1.5
MEMORY_RATIO, MEMORY_MB = 1.1, 450.0
SLOPE = 1.05
AIRFLOW_SECONDS = 25.0
DOOR_RATIO, DOOR_MEMORY_MB = 8.0, 600.0
P99_MS, SATURATION_RATIO, LONE_MS = 25.0, 10.0, 5.0


@dataclass(frozen=True)
class Target:
    """One required line; `passed` is None where this run did not measure it."""

    required: str
    observed: str
    passed: bool | None

    @property
    def verdict(self) -> str:
        """PASS, FAIL or a dash."""
        return {True: "PASS", False: "FAIL", None: "-"}[self.passed]


def endpoint_targets(results: Results) -> list[Target]:
    """Every required line of single requests."""
    return [_request_latency(results), _request_errors(results), _saturation(results), _lone_request(results)]


def night_targets(results: Results) -> list[Target]:
    """Every required line of whole tables."""
    return [
        _ratio(results),
        _process_ratio(results),
        _large_night(results),
        _memory_growth(results),
        _memory(results),
        _slope(results),
        _airflow(results),
        _door(results),
        _door_memory(results),
    ]


def _ratio(results: Results) -> Target:
    required = (
        f"at {MIDDLE:,} rows streaming (read, predict, write, committed) at least {STREAMING_RATIO:.0f} x"
        " the chunked script, without start-up on both sides"
    )
    ratio = _quotient(results.seconds(MIDDLE, "chunks"), _streaming_seconds(results))
    return _at_least(required, ratio, STREAMING_RATIO)


def _process_ratio(results: Results) -> Target:
    required = f"the same at least {PROCESS_RATIO:.0f} x with start-up on both sides"
    process, job = results.process_seconds(MIDDLE, "stream"), results.seconds(MIDDLE, "stream")
    streaming = _streaming_seconds(results)
    if process is None or job is None or streaming is None:
        return Target(required, "not measured", None)
    ratio = _quotient(results.process_seconds(MIDDLE, "chunks"), process - job + streaming)
    target = _at_least(required, ratio, PROCESS_RATIO)
    whole = _quotient(results.process_seconds(MIDDLE, "chunks"), results.process_seconds(MIDDLE, "cli"))
    told = f"; the whole night, with key, reasons, checks and publishing, {whole:.1f} x" if whole else ""
    return replace(target, observed=target.observed + told)


def _streaming_seconds(results: Results) -> float | None:
    """What our job needs for the work that the scripts do: opening the run and scoring its parts."""
    steps = results.steps(MIDDLE, "stream")
    return steps.get("open_run", 0.0) + steps["score_part"] if "score_part" in steps else None


def _large_night(results: Results) -> Target:
    required = (
        f"{LARGE:,} rows, start-up included, in less than {LARGE_SECONDS:.0f} s or within {LIMIT_RATIO} x the limit"
    )
    seconds, limit = results.process_seconds(LARGE, "cli"), stage_limit(results.stages(LARGE))
    if seconds is None:
        return Target(required, "not measured", None)
    told = f"{seconds:.1f} s" + (f", {seconds / limit.seconds:.2f} x the limit" if limit else "")
    within = limit is not None and seconds <= LIMIT_RATIO * limit.seconds
    return Target(required, told, seconds < LARGE_SECONDS or within)


def _memory_growth(results: Results) -> Target:
    growth = _quotient(results.peak_mb(LARGE, "ours"), results.peak_mb(MIDDLE, "ours"))
    return _at_most(f"memory at {LARGE:,} rows at most {MEMORY_RATIO} x that at {MIDDLE:,}", growth, MEMORY_RATIO, "x")


def _memory(results: Results) -> Target:
    required, peak = f"memory at {LARGE:,} rows below {MEMORY_MB:.0f} MB a worker", results.peak_mb(LARGE, "ours")
    target = _at_most(required, peak, MEMORY_MB, "MB")
    children = results.children_mb(LARGE, "ours")
    return target if not children else replace(target, observed=f"{target.observed}, and {children:.0f} MB its child")


def _slope(results: Results) -> Target:
    growth = _quotient(results.seconds(LARGE, "ours"), results.seconds(MIDDLE, "ours"))
    slope = None if growth is None else math.log(growth) / math.log(LARGE / MIDDLE)
    return _at_most(f"log-log slope from {MIDDLE:,} to {LARGE:,} rows at most {SLOPE}", slope, SLOPE, "")


def _airflow(results: Results) -> Target:
    through, bare = results.seconds(MIDDLE, "airflow"), results.seconds(MIDDLE, "ours")
    added = None if through is None or bare is None else through - bare
    required = f"score_customers through Airflow at {MIDDLE:,} rows within {AIRFLOW_SECONDS:.0f} s of the bare job"
    return _at_most(required, added, AIRFLOW_SECONDS, "s")


def _door(results: Results) -> Target:
    required = f"the door at {MIDDLE:,} rows at least {DOOR_RATIO:.0f} x pandas, a GX pandas asset and to_sql"
    ratio = _quotient(results.seconds(MIDDLE, "door peer"), results.seconds(MIDDLE, "door"))
    whole = _quotient(results.process_seconds(MIDDLE, "door peer"), results.process_seconds(MIDDLE, "door"))
    target = _at_least(required, ratio, DOOR_RATIO)
    return replace(target, observed=f"{target.observed}; with start-up {whole:.1f} x") if whole else target


def _door_memory(results: Results) -> Target:
    required = f"memory of the door at {MIDDLE:,} rows below {DOOR_MEMORY_MB:.0f} MB"
    return _at_most(required, results.peak_mb(MIDDLE, "door"), DOOR_MEMORY_MB, "MB")


def _request_latency(results: Results) -> Target:
    required = f"{RATE:.0f} requests/s over {CONNECTIONS} connections: p99 below {P99_MS:.0f} ms"
    return _at_most(required, results.latency(OURS, FIXED, "p99"), P99_MS, "ms")


def _request_errors(results: Results) -> Target:
    """Of every load, not of the fixed rate alone."""
    required = "no error, and every answer is the model's own, to the bit"
    loads = [each for each in results.loads if each.piece.startswith(OURS)]
    if not loads:
        return Target(required, "not measured", None)
    errors, answered = sum(sum(each.errors.values()) for each in loads), sum(each.answered for each in loads)
    return Target(required, f"{errors:,} of {answered:,}", errors == 0)


def _saturation(results: Results) -> Target:
    required = f"saturated, at least {SATURATION_RATIO:.0f} x the answers a second of {PEER} with the same model"
    ratio = _quotient(results.rate(OURS, SATURATED), results.rate(PEER, SATURATED))
    return _at_least(required, ratio, SATURATION_RATIO)


def _lone_request(results: Results) -> Target:
    required = f"a lone request: p50 below {LONE_MS:.0f} ms"
    return _at_most(required, results.latency(OURS, LONE, "p50"), LONE_MS, "ms")


def _quotient(dividend: float | None, divisor: float | None) -> float | None:
    return None if dividend is None or not divisor else dividend / divisor


def _at_least(required: str, observed: float | None, least: float) -> Target:
    if observed is None:
        return Target(required, "not measured", None)
    return Target(required, f"{observed:.1f} x", observed >= least)


def _at_most(required: str, observed: float | None, most: float, unit: str) -> Target:
    if observed is None:
        return Target(required, "not measured", None)
    digits = 0 if unit == "MB" else 2
    return Target(required, f"{observed:.{digits}f} {unit}".strip(), observed <= most)
