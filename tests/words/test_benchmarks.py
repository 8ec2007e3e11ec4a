"""The words that measure, on the smallest night: what they find is right; how fast it was is for nobody here."""

import json
from pathlib import Path

import pytest

from tests.makefile import make, said_well

SMALLEST_NIGHT = "--sizes 2000 --pieces ours --repeat 1"


@pytest.mark.parametrize("word", ["bench", "performance-test"])
def test_a_benchmark_measures_the_smallest_night_and_finds_its_result_right(word: str, tmp_path: Path) -> None:
    kept = tmp_path / "results.json"
    told = said_well(make(word, f"BENCH={SMALLEST_NIGHT} --json {kept}"))
    results = json.loads(kept.read_text("utf-8"))
    assert [(each["size"], each["piece"]) for each in results["measurements"]] == [(2_000, "ours")]
    assert results["checks"]
    assert f"{len(results['checks'])} of {len(results['checks'])} checks of results passed" in told
