"""The real platform, from its first start through every way of being killed to its end.

The tests of this file are one story and run in its order; the home has a space and a % in its name.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from churn.errors import AlreadyRunning
from churn.platform import supervisor
from churn.platform.addresses import platform_environment
from churn.platform.files import exclusive
from churn.platform.health import get
from churn.platform.layout import Platform
from churn.platform.leftovers import end_all, is_alive, processes_in, supervisor_in
from churn.platform.life import bring_up, take_down
from churn.platform.ports import LOOPBACK, listens
from churn.platform.postgres import EmbeddedPostgres
from churn.platform.processes import POSTGRES, names_of
from churn.platform.state import State
from churn.platform.status import is_healthy, rows_of
from churn.settings import Settings
from tests.server import random_free_port

PROCESSES = (
    POSTGRES,
    "mlflow",
    "airflow-api-server",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
    "api",
)


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """A home of its own on ports of its own, ended and removed whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="churn e2e 50%-"))
    folder.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        for name in [*os.environ]:
            if name.startswith(("CHURN_", "MLFLOW_", "AIRFLOW_")):
                patch.delenv(name)
        names = ("airflow_port", "mlflow_port", "api_port", "postgres_port")
        ports = {name: random_free_port() for name in names}
        yield Settings(home=folder / "state", **ports)
    end_all(folder / "state")
    shutil.rmtree(folder)


@pytest.fixture
def platform(settings: Settings) -> Platform:
    return Platform.of(settings)


def pids(platform: Platform) -> dict[str, int]:
    return {name: state.pid for name, state in supervisor.supervised(platform).items()}


def eventually(question: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_a_first_start_ends_with_every_process_healthy(settings: Settings) -> None:
    said: list[str] = []
    addresses = bring_up(settings, said.append)
    rows = rows_of(Platform.of(settings))
    assert [row.process for row in rows] == ["supervisor", *PROCESSES]
    assert is_healthy(rows), rows
    assert any("healthy" in line for line in said)
    assert addresses.airflow_url == f"http://{LOOPBACK}:{settings.airflow_port}"
    assert get(settings.api_port, "/health") is not None


def test_all_listeners_are_on_loopback(platform: Platform) -> None:
    heard = {
        (place.laddr.ip, place.laddr.port)
        for process in processes_in(platform.home)
        for place in process.net_connections("tcp")
        if place.status == psutil.CONN_LISTEN
    }
    assert heard == {(LOOPBACK, port) for port in platform.state.ports.values()}


def test_each_process_knows_only_its_own_secrets(platform: Platform) -> None:
    known = platform.credentials
    found = pids(platform)

    def environment_of(name: str) -> str:
        return " ".join(psutil.Process(found[name]).environ().values())

    assert known.churn_api in environment_of("api")
    for foreign in (
        known.churn_pipeline,
        known.airflow,
        known.mlflow,
        known.postgres,
        known.airflow_jwt_secret,
    ):
        assert foreign not in environment_of("api")
    assert known.mlflow in environment_of("mlflow")
    assert known.airflow not in environment_of("mlflow")
    assert known.churn_pipeline in environment_of("airflow-scheduler")
    assert known.churn_pipeline not in environment_of("airflow-api-server")
    lines = " ".join(" ".join(process.cmdline()) for process in processes_in(platform.home))
    config = (platform.home / supervisor.CONFIG).read_text()
    for secret in vars(known).values():
        assert secret not in lines
        assert secret not in config


def test_a_second_start_changes_nothing(settings: Settings, platform: Platform) -> None:
    before, said = pids(platform), list[str]()
    bring_up(settings, said.append)
    assert pids(platform) == before
    assert said == ["Everything runs already."]


def test_its_own_exports_do_not_make_it_look_for_a_platform_elsewhere(
    settings: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in platform_environment(settings).items():
        monkeypatch.setenv(name, value)
    again = Platform.of(Settings())
    assert again.embeds_postgres
    assert names_of(again) == PROCESSES
    assert again.state.settings == platform.state.settings


def test_two_commands_do_not_work_on_it_at_once(settings: Settings, platform: Platform) -> None:
    with exclusive(platform.home), pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"):
        bring_up(settings)


# PostgreSQL last: Airflow's loops may end themselves some seconds after they lost it.
@pytest.mark.parametrize("name", [*PROCESSES[1:], POSTGRES])
def test_a_killed_process_comes_back_alone(settings: Settings, platform: Platform, name: str) -> None:
    before = pids(platform)
    os.kill(before[name], signal.SIGKILL)
    assert eventually(lambda: pids(platform)[name] not in (0, before[name]))
    bring_up(settings)
    after = pids(platform)
    # Airflow's loops end themselves when they lose their database, now or later, and are started again.
    allowed = {name} | {other for other in PROCESSES if name == POSTGRES and other.startswith("airflow-")}
    assert name in {other for other in before if before[other] != after[other]} <= allowed
    head = supervisor_in(platform.home)
    assert head is not None
    family = {process.pid for process in [head, *head.children(recursive=True)]}
    assert eventually(lambda: {process.pid for process in processes_in(platform.home)} <= family)


def test_a_killed_supervisor_leaves_nothing_that_a_new_start_cannot_clear(
    settings: Settings, platform: Platform
) -> None:
    old = processes_in(platform.home)
    head = supervisor_in(platform.home)
    assert head is not None
    head.kill()
    assert eventually(lambda: supervisor_in(platform.home) is None)
    assert any(is_alive(process) for process in old)
    bring_up(settings)
    assert not [process for process in old if is_alive(process)]
    assert is_healthy(rows_of(Platform.of(settings)))


def test_it_starts_after_a_power_cut_though_its_pids_belong_to_strangers(
    settings: Settings, platform: Platform
) -> None:
    for process in processes_in(platform.home):
        process.kill()
    assert eventually(lambda: not processes_in(platform.home))
    server = EmbeddedPostgres.under(platform.home)
    stranger = subprocess.Popen(["sleep", "300"], user=server.os_user, cwd="/")
    try:
        lock = server.data / "postmaster.pid"
        lock.write_text("\n".join([str(stranger.pid), *lock.read_text().splitlines()[1:]]) + "\n")
        (platform.home / "run" / "supervisord.pid").write_text(f"{stranger.pid}\n")
        bring_up(settings)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_port_that_a_stranger_took_meanwhile_is_left_to_him(settings: Settings, platform: Platform) -> None:
    take_down(settings)
    assert processes_in(platform.home) == []
    assert not [port for port in platform.state.ports.values() if listens(port)]
    with socket.create_server((LOOPBACK, platform.state.ports["mlflow"])):
        bring_up(settings)
        now = State.of(platform.home).ports
        assert now["mlflow"] != platform.state.ports["mlflow"]
        assert now["postgres"] == platform.state.ports["postgres"]


def test_down_leaves_no_process_and_no_port_even_without_a_supervisor(settings: Settings, platform: Platform) -> None:
    head = supervisor_in(platform.home)
    assert head is not None
    head.kill()
    take_down(settings)
    assert processes_in(platform.home) == []
    assert not [port for port in platform.state.ports.values() if listens(port)]
    said: list[str] = []
    take_down(settings, said.append)
    assert said == ["Nothing runs."]
