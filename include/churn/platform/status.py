"""What runs of a platform: one row a process, with health and what it costs."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psutil
from rich.table import Table

from churn.platform import supervisor
from churn.platform.health import unwell
from churn.platform.layout import Platform
from churn.platform.leftovers import processes_in, supervisor_in
from churn.platform.ports import LOOPBACK
from churn.platform.processes import POSTGRES, log_of, names_of, processes_of

SECONDS_MEASURED = 0.5


@dataclass(frozen=True)
class Row:
    """One process: CPU in percent of one core and memory in MiB, with all children; uptime in seconds."""

    process: str
    state: str
    address: str
    health: str
    pid: int
    cpu_percent: float
    memory_mib: float
    uptime_seconds: int
    log: str

    def as_dict(self) -> dict[str, Any]:
        """The row for JSON."""
        return asdict(self)


def rows_of(platform: Platform) -> list[Row]:
    """One row for each process, the supervisor first. Takes SECONDS_MEASURED to measure the CPU."""
    reachable = supervisor.answers(platform)
    states = supervisor.supervised(platform) if reachable else {}
    wrong = unwell(platform, states)
    head = supervisor_in(platform.home)
    pids = {supervisor.SUPERVISOR: head.pid if head else 0}
    pids |= {name: states[name].pid if name in states else 0 for name in names_of(platform)}
    costs = _costs(pids)
    rows = [_row(platform, supervisor.SUPERVISOR, _head_state(platform, head, reachable), "", pids, costs)]
    for name in names_of(platform):
        state = states[name].state.lower() if name in states else "stopped"
        rows.append(_row(platform, name, state, wrong.get(name, "healthy"), pids, costs))
    return rows


def is_healthy(rows: Sequence[Row]) -> bool:
    """Whether every process is."""
    return all(row.health in ("", "healthy") and row.state == "running" for row in rows)


def table_of(rows: Sequence[Row]) -> Table:
    """The rows for people."""
    table = Table(show_edge=False, pad_edge=False, box=None)
    table.add_column("process", no_wrap=True)
    for heading in ("state", "address", "health"):
        table.add_column(heading, overflow="fold")
    for heading in ("cpu %", "MiB", "uptime"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        colour = "green" if row.health in ("", "healthy") and row.state == "running" else "red"
        table.add_row(
            row.process,
            f"[{colour}]{row.state}[/]",
            row.address,
            f"[{colour}]{row.health}[/]",
            f"{row.cpu_percent:.0f}",
            f"{row.memory_mib:.0f}",
            _spoken(row.uptime_seconds),
        )
    return table


def _row(
    platform: Platform,
    name: str,
    state: str,
    health: str,
    pids: dict[str, int],
    costs: dict[str, tuple[float, float, float]],
) -> Row:
    cpu, memory, uptime = costs.get(name, (0.0, 0.0, 0.0))
    address = _address(platform, name)
    log = str(log_of(platform, name))
    return Row(name, state, address, health, pids[name], round(cpu, 1), round(memory, 1), round(uptime), log)


def _head_state(platform: Platform, head: psutil.Process | None, reachable: bool) -> str:
    if reachable:
        return "running"
    if head:
        return "does not answer"
    return "lost, its processes run on" if processes_in(platform.home) else "stopped"


def _address(platform: Platform, name: str) -> str:
    services = {process.name: process.service for process in processes_of(platform)} | {POSTGRES: POSTGRES}
    service = services.get(name)
    return f"{LOOPBACK}:{platform.state.ports[service]}" if service else ""


def _costs(pids: dict[str, int]) -> dict[str, tuple[float, float, float]]:
    """CPU, memory and uptime of each process with its children; the supervisor is counted without them."""
    trees = {name: _tree(pid, name != supervisor.SUPERVISOR) for name, pid in pids.items() if pid}
    for tree in trees.values():
        _cpu(tree)  # the first reading starts the measurement
    time.sleep(SECONDS_MEASURED)
    now = time.time()
    return {
        name: (_cpu(tree), sum(map(_memory, tree)), now - tree[0].create_time()) for name, tree in trees.items() if tree
    }


def _tree(pid: int, with_children: bool) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *(process.children(recursive=True) if with_children else [])]
    except psutil.Error:
        return []


def _cpu(tree: list[psutil.Process]) -> float:
    total = 0.0
    for process in tree:
        try:
            total += process.cpu_percent()
        except psutil.Error:
            continue
    return total


def _memory(process: psutil.Process) -> float:
    """Memory in MiB; shared pages count by share where the system says, so that a sum is not too high."""
    try:
        full = process.memory_full_info()
    except psutil.Error:
        return 0.0
    return float(getattr(full, "pss", full.rss)) / 2**20


def _spoken(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
