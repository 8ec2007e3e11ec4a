"""What a bench of single requests concludes from its measurements, and that its caller measures what it says."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from churn.platform.ports import LOOPBACK
from tests.benchmarks.docs import BEGIN, END, REQUESTS_BEGIN, REQUESTS_END, write_docs
from tests.benchmarks.endpoint_modes import CALLER, FIXED, LONE, OURS, PEER, SATURATED
from tests.benchmarks.endpoint_stages import WARM_UP, StageClock, milliseconds_of
from tests.benchmarks.load import Taken, check, percentiles, run
from tests.benchmarks.results import LoadRun, Results
from tests.benchmarks.targets import endpoint_targets
from tests.benchmarks.wire import Answer, read_answer

STALL_SECONDS = 0.4


def load(piece: str, mode: str, p50: float, p99: float, answered: int, **errors: int) -> LoadRun:
    milliseconds = {"p50": p50, "p90": p99, "p99": p99, "p99.9": p99, "max": p99, "mean": p50}
    cpu = {"caller": 1.0, "server": 2.0, "PostgreSQL": 0.5}
    return LoadRun(piece, mode, 1, 50, 500.0 if mode == FIXED else None, 10.0, answered, errors, milliseconds, {}, cpu)


@pytest.fixture
def good() -> Results:
    loads = [
        load(OURS, FIXED, 2.0, 20.0, 5_000),
        load(OURS, SATURATED, 20.0, 40.0, 30_000),
        load(PEER, SATURATED, 200.0, 400.0, 2_000),
        load(OURS, LONE, 1.0, 3.0, 4_000),
    ]
    stages = {LONE: {"score": 0.2, CALLER: 1.0}, FIXED: {"score": 0.3, CALLER: 2.0}}
    return Results({"cores": 2}, [], loads=loads, milliseconds=stages)


def verdicts(results: Results) -> list[bool | None]:
    return [target.passed for target in endpoint_targets(results)]


def test_a_good_run_shows_every_line(good: Results) -> None:
    assert verdicts(good) == [True] * 4
    observed = [target.observed for target in endpoint_targets(good)]
    assert observed == ["20.00 ms", "0 of 39,000", "15.0 x", "1.00 ms"]


def test_a_slow_run_and_a_wrong_answer_fail_their_lines(good: Results) -> None:
    slow = replace(good, loads=[load(OURS, FIXED, 2.0, 26.0, 5_000, wrong=1), good.loads[1], good.loads[1]])
    slow.loads += [replace(good.loads[2], answered=3_001), load(OURS, LONE, 5.1, 6.0, 100)]
    assert verdicts(slow) == [False, False, False, False]
    assert verdicts(Results({}, [])) == [None] * 4


def test_the_page_keeps_what_was_not_measured(good: Results, tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    page.write_text(f"{BEGIN}\nnights\n{END}\n{REQUESTS_BEGIN}\nold\n{REQUESTS_END}\nAfter.\n", "utf-8")
    write_docs(page, good)
    text = page.read_text("utf-8")
    assert f"{BEGIN}\nnights\n{END}" in text
    assert "| 15.0 x | PASS |" in text
    assert "\nold\n" not in text
    assert text.endswith(f"{REQUESTS_END}\nAfter.\n")
    good.save(tmp_path / "bench.json")
    assert Results.load(tmp_path / "bench.json") == good


def test_the_page_of_the_docs_has_the_markers_once() -> None:
    text = (Path(__file__).parents[2] / "docs" / "speed.md").read_text("utf-8")
    assert (text.count(REQUESTS_BEGIN), text.count(REQUESTS_END)) == (1, 1)


def test_percentiles_are_values_that_were_measured() -> None:
    found = percentiles(number / 1000 for number in range(1, 101))
    assert (found["p50"], found["p99"], found["max"], found["mean"]) == pytest.approx((50, 99, 100, 50.5))
    assert percentiles([]) == {}


def test_an_answer_that_is_not_the_models_is_an_error() -> None:
    def said(probability: float, version: int, status: int = 200) -> Answer:
        return Answer(status, json.dumps({"churn_probability": probability, "model_version": version}).encode(), False)

    taken = Taken(answers=[(0, said(0.5, 1)), (1, said(0.5, 1)), (0, said(0.5, 2)), (0, said(0.5, 1, 503))])
    check(taken, [0.5, 0.25], 1)
    assert taken.errors == {"another answer than the model's": 2, "status 503": 1}


def test_an_answer_is_read_when_it_is_whole() -> None:
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nConnection: close\r\n\r\nbody"
    assert [read_answer(whole[:size]) for size in range(len(whole))] == [None] * len(whole)
    assert read_answer(whole) == Answer(200, b"body", is_last=True)


@contextmanager
def stalling_server() -> Iterator[tuple[str, int]]:
    """Answers each request of a connection at once, but for one stall of everybody."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        stall = threading.Event()

        def serve(caller: socket.socket) -> None:
            with caller:
                while caller.recv(10_000):
                    if not stall.is_set():
                        stall.set()
                        time.sleep(STALL_SECONDS)
                    caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        def accept() -> None:
            while True:
                try:
                    caller, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(caller,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[:2]


def test_whoever_would_have_asked_during_a_stall_counts_with_its_wait() -> None:
    """One connection, 100 requests a second due: the stall of 0.4 s is seen by about 40 of them, not by one."""
    with stalling_server() as address:
        job = {
            "address": address, "path": "/", "headers": {}, "bodies": ["{}"], "expected": [0.0], "version": 1,
            "connections": 1, "rate": 100.0, "seconds": 1.0,
        }  # fmt: skip
        told = run(job)
    assert told["answered"] == 100
    assert told["milliseconds"]["p90"] > 1000 * STALL_SECONDS / 2
    assert told["errors"] == {"another answer than the model's": 100}


def test_stages_add_up_to_the_whole_and_the_first_requests_do_not_count(tmp_path: Path) -> None:
    clock = StageClock()
    inner = clock.stage("inner", lambda: time.sleep(0.002))

    def work() -> None:
        time.sleep(0.001)
        inner()

    outer = clock.stage("outer", work)
    for _ in range(WARM_UP + 5):
        outer()
        clock.end(1)
    assert clock.count == 5
    assert clock.seconds["outer"] >= 0.005
    assert clock.seconds["inner"] >= 0.010
    assert milliseconds_of(tmp_path) == {}
