"""Processes of ours, found by the mark in their environment, and how they are ended.

A pid file says nothing after a reboot, and a killed supervisor's children run on without a parent. The mark
is inherited by everything that a process of the platform starts, and no stranger has it.
"""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from churn.errors import PlatformError
from churn.platform.environments import HOME_MARK, PROCESS_MARK

SUPERVISOR = "supervisor"
SECONDS_FOR_AN_ORDERLY_STOP = 90.0
_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)
_NOT_OURS = (psutil.AccessDenied, *_GONE, OSError)


def processes_in(home: Path) -> list[psutil.Process]:
    """Every living process of this state folder's platform, except the caller and its parents."""
    data = (home / "postgres").resolve()
    spared = _self_and_parents()
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in spared and (_mark(process, HOME_MARK) == str(home) or _is_backend(process, data))
    ]


def supervisor_in(home: Path) -> psutil.Process | None:
    """The living supervisor of this state folder, whether or not it answers."""
    found = [process for process in remains_of(home, SUPERVISOR) if _runs_supervisord(process)]
    return min(found, key=psutil.Process.create_time, default=None)


def remains_of(home: Path, name: str) -> list[psutil.Process]:
    """What a killed earlier start of one process left behind: workers, servers, running tasks."""
    return [process for process in processes_in(home) if _mark(process, PROCESS_MARK) == name]


def end_all(home: Path, patience: float = 8.0) -> int:
    """End whatever lives of this state folder's platform, and return how many processes that were.

    A living supervisor does it in order; what it left, or what lost it, is ended services first, PostgreSQL last.
    `patience` is in seconds for services, three times as long for PostgreSQL; what has not gone by then is killed.
    Raises PlatformError where something cannot be killed.
    """
    ended = 0
    if head := supervisor_in(home):
        ended = len(processes_in(home))
        end([head], SECONDS_FOR_AN_ORDERLY_STOP)
    for _ in range(3):  # one that was being started while the others were ended is found the second time
        found = processes_in(home)
        if not found:
            return ended
        servers = [process for process in found if _is_postgres(process)]
        others = [process for process in found if process not in servers]
        end(_roots(others), patience)  # a parent sees to its children; told all at once, they wait for each other
        end(others, patience=5)
        end(_roots(servers), 3 * patience, signal.SIGINT)  # fast shutdown: clients are dropped, data are safe
        ended += len(found)
    if stubborn := processes_in(home):
        pids = ", ".join(str(process.pid) for process in stubborn)
        raise PlatformError(f"Processes {pids} of {home} do not end.", "End them by hand; see `ps -fp`.")
    return ended


def end(processes: Iterable[psutil.Process], patience: float, gently: int = signal.SIGTERM) -> None:
    """Ask processes to end, and kill those that have not after `patience` seconds."""
    processes = list(processes)
    for number, seconds in ((gently, patience), (signal.SIGKILL, 5.0)):
        waiting = [process for process in processes if is_alive(process)]
        for process in waiting:
            _signal(process, number)
        _wait_for_end(waiting, seconds)


def _wait_for_end(processes: Iterable[psutil.Process], seconds: float) -> None:
    """Wait until none of these lives any more, or `seconds` have passed."""
    deadline = time.monotonic() + seconds
    waiting = list(processes)
    while (waiting := [process for process in waiting if is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)


def is_alive(process: psutil.Process) -> bool:
    """Whether a process still runs; one that is dead and only not yet collected by its parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except _GONE:
        return False


def _mark(process: psutil.Process, name: str) -> str | None:
    try:
        return process.environ().get(name)
    except _NOT_OURS:
        return None


def _runs_supervisord(process: psutil.Process) -> bool:
    """Whether this is supervisord, and not a child of it on the way to become something else."""
    try:
        return "supervisor.supervisord" in process.cmdline()
    except _NOT_OURS:
        return False


def _is_backend(process: psutil.Process, data: Path) -> bool:
    """Whether a process works in our PostgreSQL data folder; its title has overwritten its mark."""
    try:
        return process.name() == "postgres" and process.cwd() == str(data)
    except _NOT_OURS:
        return False


def _is_postgres(process: psutil.Process) -> bool:
    try:
        return process.name() == "postgres"
    except _NOT_OURS:
        return False


def _roots(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those whose parent is not among them: servers, and what lost its server."""
    pids = {process.pid for process in processes}
    return [process for process in processes if _parent(process) not in pids]


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except _NOT_OURS:
        return 0


def _signal(process: psutil.Process, number: int) -> None:
    with suppress(*_NOT_OURS):
        process.send_signal(number)  # checks first that the pid was not given to someone else


def _self_and_parents() -> set[int]:
    me = psutil.Process()
    return {os.getpid(), *(parent.pid for parent in me.parents())}
