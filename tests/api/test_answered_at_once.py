"""What the worker's loop answers itself, what it leaves to a thread, and that neither is ever cut off."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from churn.platform.ports import LOOPBACK
from churn_api.short_requests import LARGEST, read_short
from churn_api.whole_answer import WholeAnswer
from tests.api.conftest import VERBATIM
from tests.api.test_gunicorn import wait_for_both_workers
from tests.benchmarks.wire import CutOff, Wire, request_of
from tests.server import Server

BODY = json.dumps(VERBATIM).encode()
ADDRESS = ("x", 80)
WHOLE = request_of(ADDRESS, "/v1/predict", BODY, {})


@pytest.mark.parametrize(
    "unusual",
    [
        WHOLE[:-1],
        WHOLE[: WHOLE.index(b"\r\n\r\n") + 2],
        WHOLE + b"G",
        WHOLE + WHOLE,
        WHOLE.replace(b"/v1/predict", b"/v1/predict/batch"),
        WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"),
        WHOLE.replace(b"POST", b"GET"),
        WHOLE.replace(b"/v1/predict", b"/v1/predict?a=b"),
        WHOLE.replace(b"Host:", b"Host :"),
        WHOLE.replace(b"Host:", b"X_Host:"),
        WHOLE.replace(b"Host: ", b"Host: \x00"),
        WHOLE.replace(b"Host: ", b"Host: \xe4"),
        WHOLE.replace(b"Host: x", b"Host: x\r\n  folded"),
        WHOLE.replace(b"\r\n", b"\n"),
        request_of(ADDRESS, "/v1/predict", BODY, {"host": "twice"}),
        request_of(ADDRESS, "/v1/predict", BODY, {"content-length": str(len(BODY))}),
        request_of(ADDRESS, "/v1/predict", BODY, {"Content-Length": f"+{len(BODY)}"}),
        request_of(ADDRESS, "/v1/predict", BODY, {"Upgrade": "h2c"}),
        request_of(ADDRESS, "/v1/predict", BODY, {f"X-{number}": "x" for number in range(50)}),
        request_of(ADDRESS, "/v1/predict", BODY, {"Transfer-Encoding": "chunked"}),
        request_of(ADDRESS, "/v1/predict", BODY, {"Expect": "100-continue"}),
        request_of(ADDRESS, "/v1/predict", BODY, {"Content-Length ": "3"}).replace(b"Length ", b"Length"),
        request_of(ADDRESS, "/v1/predict", BODY + b" " * LARGEST, {}),
        b"",
    ],
)
def test_only_one_whole_request_without_anything_unusual_is_short(unusual: bytes) -> None:
    short = read_short(WHOLE)
    assert short is not None
    assert (short.route, short.body, short.size) == ("/v1/predict", BODY, len(WHOLE))
    assert read_short(WHOLE.replace(b"Content-Length: ", b"content-LENGTH:\t")) == replace(short, size=short.size)
    assert read_short(unusual) is None


def test_an_answer_leaves_in_one_piece_and_a_large_one_in_several() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        whole = WholeAnswer(ours)
        whole.sendall(b"head")
        whole.sendall(b"body")
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(100)
        whole.flush()
        assert theirs.recv(100) == b"headbody"
        whole.sendall(b"x" * 100_000)
        assert theirs.recv(10) == b"x" * 10


def address_of(server: Server) -> tuple[str, int]:
    return LOOPBACK, int(server.url.rsplit(":", 1)[1])


def answer(wire: Wire) -> tuple[int, bool]:
    """The status of the next answer and whether it is the last one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = wire.receive()
        if found is not None:
            return found.status, found.is_last
        time.sleep(0.005)
    raise AssertionError("no answer")


@contextmanager
def wires(server: Server, count: int) -> Iterator[list[Wire]]:
    """Connections that have had an answer each."""
    made = [Wire(address_of(server)) for _ in range(count)]
    try:
        for wire in made:
            wire.send(WHOLE)
            assert answer(wire) == (200, False)
        yield made
    finally:
        for wire in made:
            wire.close()


def test_requests_in_pieces_and_in_a_row_are_answered_on_a_kept_connection(gunicorn: Server) -> None:
    wait_for_both_workers(gunicorn)
    with wires(gunicorn, 1) as (wire,):
        for piece in (WHOLE[:20], WHOLE[20:-5], WHOLE[-5:]):
            wire.send(piece)
            time.sleep(0.05)
        assert answer(wire) == (200, False)
        wire.send(WHOLE.replace(b"Month-to-month", b'Month"to-month'))
        assert answer(wire) == (400, False)
        wire.send(WHOLE)
        assert answer(wire) == (200, False)


def test_a_caller_who_reads_nothing_and_one_who_stays_hold_up_nobody(gunicorn: Server) -> None:
    """Many requests whose answers nobody takes; and a caller who asks for the end but does not close."""
    wait_for_both_workers(gunicorn)
    with wires(gunicorn, 8) as deaf, wires(gunicorn, 8) as staying, wires(gunicorn, 8) as others:
        for wire in deaf:
            for _ in range(200):
                try:
                    wire.send(WHOLE)
                except (CutOff, RuntimeError):  # its own buffer is full
                    break
        for wire in staying:
            wire.send(request_of(ADDRESS, "/v1/predict", BODY, {"Connection": "close"}))
        began = time.monotonic()
        for wire in others * 10:
            wire.send(WHOLE)
            assert answer(wire) == (200, False)
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("whom", ["a worker", "the server"])
def test_told_to_end_a_worker_answers_what_comes_on_its_connections_once_more(gunicorn: Server, whom: str) -> None:
    """Each of 20 idle connections sends after the signal, at another moment, and is answered until it is told to go."""
    wait_for_both_workers(gunicorn)
    assert gunicorn.process is not None
    with wires(gunicorn, 20) as kept:
        if whom == "the server":
            gunicorn.process.send_signal(signal.SIGTERM)
        else:
            for worker in _children(gunicorn.process.pid):
                os.kill(worker, signal.SIGTERM)

        def ask_later(place: int) -> tuple[int, bool]:
            time.sleep(0.1 * place)
            while True:  # a worker that has not been reached by the signal yet goes on as before
                kept[place].send(WHOLE)
                status, is_last = answer(kept[place])
                if is_last or status != 200:
                    return status, is_last

        with ThreadPoolExecutor(20) as callers:
            assert list(callers.map(ask_later, range(20))) == [(200, True)] * 20
    if whom == "the server":
        assert gunicorn.process.wait(15) == 0


def _children(pid: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(pid).children()]
