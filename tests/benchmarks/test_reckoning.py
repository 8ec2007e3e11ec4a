"""What a bench concludes from its measurements."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from churn.columns import COLUMNS
from churn.jobs import score_customers as job
from tests.benchmarks.docs import BEGIN, END, write_docs
from tests.benchmarks.limits import stage_limit
from tests.benchmarks.multiplication import copied_key, copied_values
from tests.benchmarks.pieces import PEERS
from tests.benchmarks.results import Check, Measurement, Results
from tests.benchmarks.tables import NOT_RUN, all_tables
from tests.benchmarks.targets import LARGE, MIDDLE, Target, night_targets
from tests.benchmarks.told import timed_steps

STAGES = {
    "read": {"seconds": 14.0, "client_cpu": 2.0, "server_cpu": 13.0},
    "predict": {"seconds": 3.0, "client_cpu": 3.0, "server_cpu": 0.0},
    "write": {"seconds": 5.0, "client_cpu": 1.0, "server_cpu": 5.0},
    "key": {"seconds": 5.0, "client_cpu": 0.0, "server_cpu": 5.0},
    "checks": {"seconds": 1.0, "client_cpu": 0.0, "server_cpu": 1.0},
}


DOOR = ["9.0 x; with start-up 8.0 x", "400 MB"]


def measured(size: int, piece: str, seconds: float, process: float, peak: float = 300.0) -> list[Measurement]:
    """Three repetitions, of which the middle one is the median; our job does nothing but open and stream."""
    return [
        Measurement(
            size, piece, place + 1, seconds * factor, process * factor, peak, 1.0,
            steps={"open_run": 0.25 * seconds * factor, "score_part": 0.75 * seconds * factor},
        )
        for place, factor in enumerate((0.9, 1.0, 1.3))
    ]  # fmt: skip


@pytest.fixture
def good() -> Results:
    """A run that shows every line."""
    found = [
        *measured(MIDDLE, "ours", 2.0, 6.0),
        *measured(MIDDLE, "stream", 2.0, 6.0),
        *measured(MIDDLE, "cli", 2.0, 6.0),
        *measured(MIDDLE, "chunks", 44.0, 48.0, 500.0),
        *measured(MIDDLE, "airflow", 12.0, 13.0, 0.0),
        *measured(MIDDLE, "door", 10.0, 12.0, 400.0),
        *measured(MIDDLE, "door peer", 90.0, 96.0, 1_000.0),
        *measured(LARGE, "ours", 21.0, 25.0, 320.0),
        *measured(LARGE, "cli", 21.0, 25.0, 320.0),
        Measurement(LARGE, "read", 1, 1.0, 1.0, 1.0, 1.0, stages=STAGES),
    ]
    return Results({"cores": 2}, [MIDDLE, LARGE], found)


def verdicts(results: Results) -> list[bool | None]:
    return [target.passed for target in night_targets(results)]


def test_a_good_run_shows_every_line(good: Results) -> None:
    assert verdicts(good) == [True] * 9
    observed = [target.observed for target in night_targets(good)]
    assert observed[:2] == ["22.0 x", "8.0 x; the whole night, with key, reasons, checks and publishing, 8.0 x"]
    assert observed[2:] == ["25.0 s, 1.25 x the limit", "1.07 x", "320 MB", "1.02", "10.00 s", *DOOR]


def test_what_was_not_measured_is_neither_passed_nor_failed() -> None:
    assert verdicts(Results({}, [20_000])) == [None] * 9
    assert {target.verdict for target in night_targets(Results({}, [20_000]))} == {"-"}


def test_a_slow_run_fails_the_lines_of_speed(good: Results) -> None:
    slow = Results({}, good.sizes, [each for each in good.measurements if each.piece not in ("ours", "stream", "cli")])
    for size, seconds in ((MIDDLE, 4.0), (LARGE, 60.0)):
        slow.measurements += measured(size, "stream", seconds, seconds + 4)
        slow.measurements += measured(size, "ours", seconds, seconds + 4, peak=500.0 if size == LARGE else 300.0)
        slow.measurements += measured(size, "cli", seconds, seconds + 4)
    assert verdicts(slow) == [False, False, False, False, False, False, True, True, True]


def test_a_slow_machine_is_held_against_its_own_limit(good: Results) -> None:
    slower = {stage: {name: 2 * value for name, value in cost.items()} for stage, cost in STAGES.items()}
    kept = [each for each in good.measurements if not each.stages and (each.size, each.piece) != (LARGE, "cli")]
    again = Results({}, good.sizes, [*kept, *measured(LARGE, "cli", 55.0, 59.0)])
    again.measurements.append(Measurement(LARGE, "read", 1, 1.0, 1.0, 1.0, 1.0, stages=slower))
    assert night_targets(again)[2] == Target(night_targets(again)[2].required, "59.0 s, 1.48 x the limit", True)


def test_the_limit_is_the_slowest_stage_or_all_work_over_two_cores() -> None:
    limit = stage_limit(STAGES)
    assert limit is not None
    assert (limit.bound_by, limit.seconds) == ("read", 20.0)
    busy = stage_limit(STAGES | {"predict": {"seconds": 12.0, "client_cpu": 12.0, "server_cpu": 0.0}})
    assert busy is not None
    assert (busy.bound_by, busy.seconds) == ("two cores", 22.5)
    assert stage_limit({"read": STAGES["read"]}) is None


def test_the_first_night_counts_in_no_median(good: Results) -> None:
    good.measurements.append(Measurement(MIDDLE, "ours", 0, 100.0, 100.0, 900.0, 1.0))
    assert good.seconds(MIDDLE, "ours") == 2.0
    assert good.peak_mb(MIDDLE, "ours") == 300.0
    assert good.first_night(MIDDLE) is not None


def test_peers_that_take_minutes_are_said_not_to_have_run(good: Results) -> None:
    (large,) = [table for table in all_tables(good) if table.title == f"{LARGE:,} customers"]
    assert [row[0] for row in large.rows if row[1] == NOT_RUN] == [peer.says for peer in PEERS]


def test_results_survive_their_json_and_fill_the_docs(good: Results, tmp_path: Path) -> None:
    good.checks.append(Check(MIDDLE, "chunks", True, "equal"))
    good.save(tmp_path / "bench.json")
    assert Results.load(tmp_path / "bench.json") == good
    page = tmp_path / "speed.md"
    page.write_text(f"Before.\n\n{BEGIN}\nold\n{END}\n\nAfter.\n", "utf-8")
    write_docs(page, good)
    text = page.read_text("utf-8")
    assert text.startswith("Before.")
    assert text.endswith(f"{END}\n\nAfter.\n")
    assert "| 22.0 x | PASS |" in text
    assert "\nold\n" not in text


def test_the_page_of_the_docs_has_the_markers_once() -> None:
    text = (Path(__file__).parents[2] / "docs" / "speed.md").read_text("utf-8")
    assert (text.count(BEGIN), text.count(END)) == (1, 1)


def test_the_steps_of_a_job_are_timed_and_left_as_they_were() -> None:
    before = dict(vars(job))
    with timed_steps(job, but="score_customers") as seconds:
        changed = {name for name, value in vars(job).items() if before.get(name) is not value}
        with pytest.raises(AttributeError):
            job.open_run(SimpleNamespace())  # type: ignore[arg-type]
    assert "open_run" in changed
    assert "score_customers" not in changed
    assert seconds["open_run"] >= 0
    assert dict(vars(job)) == before


def test_a_copy_differs_in_key_and_a_little_in_values() -> None:
    assert "A001" in copied_key(1).as_string()
    assert "B000" in copied_key(1_000).as_string()
    assert copied_values(0).as_string().count("hashtextextended") == 0
    assert copied_values(1).as_string().count("hashtextextended") == 3
    assert copied_values(1).as_string().count('"') >= 2 * len(COLUMNS)
