"""The words that measure, on the smallest night: what they find is right; how fast it was is for nobody here."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.makefile import make, said_well

SMALLEST_NIGHT = "--sizes 2000 --pieces ours --repeat 1"


@pytest.fixture(scope="module")
def kept() -> Iterator[Path]:
    """Where the prepared customers stay from one benchmark to the next; PostgreSQL's OS user can reach it."""
    folder = Path(tempfile.mkdtemp(prefix="churn-test-bench-"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("word", ["bench", "performance-test"])
def test_a_benchmark_measures_the_smallest_night_and_finds_its_result_right(word: str, kept: Path) -> None:
    file = kept / f"{word}.json"
    told = said_well(make(word, f"BENCH={SMALLEST_NIGHT} --keep {kept} --json {file}"))
    results = json.loads(file.read_text("utf-8"))
    assert {(each["size"], each["piece"]) for each in results["measurements"]} == {(2_000, "ours")}
    assert results["checks"]
    assert f"{len(results['checks'])} of {len(results['checks'])} checks of results passed" in told
