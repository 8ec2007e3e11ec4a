"""`up` and `down`: bring the platform to health, and to rest, from whatever state it was left in."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from churn.errors import ConfigurationError, PlatformError
from churn.platform import databases, environments, supervisor
from churn.platform.addresses import PlatformAddresses, addresses_of
from churn.platform.credentials import Credentials
from churn.platform.files import exclusive, last_lines, reserve_port, write_private
from churn.platform.health import unwell
from churn.platform.layout import AIRFLOW_USER, Platform
from churn.platform.leftovers import end_all, processes_in
from churn.platform.ports import is_free
from churn.platform.postgres import EmbeddedPostgres
from churn.platform.processes import AIRFLOW, API, MLFLOW, POSTGRES, log_of
from churn.platform.state import FILE_NAME, State, asked_ports, choose_ports, socket_path
from churn.settings import Settings

SECONDS_TO_HEALTH = 300.0
STARTS_TOO_MANY = 4
Say = Callable[[str], None]


def _silent(_: str) -> None:
    """Say nothing."""


def bring_up(settings: Settings, say: Say = _silent) -> PlatformAddresses:
    """Start what does not run, wait until all is healthy, and return where it is.

    Works from any state: never started, running, killed in part or whole, rebooted. What this call started is
    stopped again when it fails. Raises PlatformError with the failing process's last lines, AlreadyRunning,
    ConfigurationError or SchemaBehind.
    """
    home = settings.home.resolve()
    with exclusive(home), ExitStack() as held, ExitStack() as undo:
        platform = _running(settings)
        if platform is None:
            if left := end_all(home):
                say(f"Ended {left} processes left over from a platform whose supervisor is gone.")
            platform = _prepared(settings, held)
            undo.callback(_stop, home, _silent)
            _start_supervisor(platform, say)
        elif not unwell(platform, supervisor.supervised(platform)):
            _warn_of_other_settings(platform, say)
            say("Everything runs already.")
            return addresses_of(platform)
        else:
            _warn_of_other_settings(platform, say)
        _start_everything(platform, say)
        undo.pop_all()
        return addresses_of(platform)


def take_down(settings: Settings, say: Say = _silent) -> None:
    """Stop every process of the platform, in order, also where its supervisor is lost.

    Raises PlatformError where a process cannot be ended, AlreadyRunning.
    """
    home = settings.home.resolve()
    with exclusive(home) if home.exists() else nullcontext():  # its processes may outlive a deleted folder
        _stop(home, say)


@contextmanager
def databases_alone(settings: Settings) -> Iterator[Platform]:
    """Run nothing but the embedded PostgreSQL for the block, where it is ours to run: for a restore before `up`.

    Raises AlreadyRunning, and PlatformError where the platform runs.
    """
    home = settings.home.resolve()
    with exclusive(home), ExitStack() as stack:
        if _running(settings) is not None:
            raise PlatformError(
                f"The platform in {home} runs.", "Restore into another CHURN_HOME, and bring it up afterwards."
            )
        end_all(home)  # the server of a restore that was killed, for one
        platform = _prepared(settings, stack)
        if platform.embeds_postgres:
            server = EmbeddedPostgres.under(home)
            server.initialise(platform.credentials.postgres)
            server.clear_stale_lock()
            server.start(platform.state.ports[POSTGRES], server.data / "alone.log")
            stack.callback(server.stop)
            databases.create_own_databases(platform)
        yield platform


def _running(settings: Settings) -> Platform | None:
    """The platform where its supervisor answers."""
    if not (settings.home.resolve() / FILE_NAME).exists():
        return None
    platform = Platform.of(settings)
    return platform if supervisor.answers(platform) else None


def _prepared(settings: Settings, held: ExitStack) -> Platform:
    """Folders, secrets and ports for a start; the ports are kept from other platforms while `held` is open.

    Raises ConfigurationError where too little was given.
    """
    home = settings.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    credentials, last = Credentials.of(home), State.of(home)
    asked = asked_ports(settings)
    ports = choose_ports(asked, last, lambda port: is_free(port) and reserve_port(port, held))
    mlflow_ports = sorted({*last.mlflow_ports, ports["mlflow"]})
    state = State(ports, asked, last.mlflow_ports, str(socket_path(home)))
    platform = Platform(settings, home, credentials, state)
    if not (settings.project_dir / "dags").is_dir():
        raise ConfigurationError(
            f"{settings.project_dir} is not a checkout of this project.", "Set CHURN_PROJECT_DIR to one."
        )
    carried = environments.carried(platform)
    if platform.given_mlflow is None:
        state = replace(state, mlflow_ports=mlflow_ports)
    platform = replace(platform, state=replace(state, settings=environments.fingerprint(carried)))
    for folder in (platform.logs, home / "airflow", home / "mlflow-artifacts", home / "landing"):
        folder.mkdir(mode=0o700, exist_ok=True)  # customers, models and logs are nobody else's
    write_private(
        home / "airflow" / "airflow.cfg", "# Configured by environment: see `churn platform env --airflow`.\n"
    )
    write_private(home / "airflow" / "passwords.json", json.dumps({AIRFLOW_USER: credentials.airflow_admin}))
    platform.state.save(home)
    return platform


def _start_supervisor(platform: Platform, say: Say) -> None:
    server = EmbeddedPostgres.under(platform.home) if platform.embeds_postgres else None
    if server:
        say("Preparing PostgreSQL")
        server.initialise(platform.credentials.postgres)
        server.clear_stale_lock()
    supervisor.start(platform, server)


def _start_everything(platform: Platform, say: Say) -> None:
    """Start all that does not run, as much at once as depends on nothing unfinished."""
    started = time.monotonic()
    waiting = _Waiting(platform, say, started)
    if platform.embeds_postgres:
        supervisor.ensure_started(platform, [POSTGRES])
        waiting.for_health_of(POSTGRES)
        databases.create_own_databases(platform)
    with ThreadPoolExecutor(3) as at_once:
        steps = [at_once.submit(step, platform, waiting) for step in (_mlflow_and_api, _airflow)]
        try:
            for step in as_completed(steps):
                step.result()
        finally:
            waiting.give_up()
    say(f"Everything is healthy after {time.monotonic() - started:.0f} s.")


def _mlflow_and_api(platform: Platform, waiting: "_Waiting") -> None:
    if platform.given_mlflow is None:
        databases.bring_mlflow_up_to_date(platform)
        supervisor.ensure_started(platform, [MLFLOW.name])
    databases.bring_churn_up_to_date(platform)
    if platform.given_mlflow is None:
        waiting.for_health_of(MLFLOW.name)
    supervisor.ensure_started(platform, [API.name])
    waiting.for_health_of(API.name)


def _airflow(platform: Platform, waiting: "_Waiting") -> None:
    waiting.say("Checking Airflow's database")
    databases.bring_airflow_up_to_date(platform)
    names = [process.name for process in AIRFLOW]
    supervisor.ensure_started(platform, names)
    waiting.for_health_of(*names)


class _Waiting:
    """Waiting for health, with a deadline, and an end as soon as a process keeps dying."""

    def __init__(self, platform: Platform, say: Say, started: float) -> None:
        self._platform, self.say, self._started = platform, say, started
        self._given_up = False

    def give_up(self) -> None:
        """Let every wait that still goes on end at once: another step has failed."""
        self._given_up = True

    def for_health_of(self, *names: str) -> None:
        """Wait until these are healthy. Raises PlatformError with the log's end where one is not."""
        pids: dict[str, set[int]] = {name: set() for name in names}
        pending = set(names)
        deadline = time.monotonic() + SECONDS_TO_HEALTH
        while pending:
            if self._given_up:
                raise PlatformError(f"Gave up waiting for {', '.join(sorted(pending))}.", "See the first failure.")
            states = supervisor.supervised(self._platform)
            wrong = unwell(self._platform, states, pending)
            for name in sorted(pending - wrong.keys()):
                self.say(f"{name} is healthy ({time.monotonic() - self._started:.0f} s)")
            pending &= wrong.keys()
            for name in pending:
                pids[name] |= {states[name].pid} - {0}
                if states[name].given_up or len(pids[name]) >= STARTS_TOO_MANY or time.monotonic() > deadline:
                    raise _failure(self._platform, name, wrong[name])
            if pending:
                time.sleep(0.25)


def _failure(platform: Platform, name: str, wrong: str) -> PlatformError:
    log = log_of(platform, name)
    tail = "\n".join(last_lines(log, 25))
    return PlatformError(
        f"{name} did not become healthy ({wrong}). Its log ends with:\n{tail}\n",
        f"Read {log}, mend the cause and run `churn platform up` again.",
    )


def _stop(home: Path, say: Say) -> None:
    if processes_in(home):
        say("Stopping the services, then PostgreSQL")
    ended = end_all(home)
    supervisor.forget_socket(State.of(home).socket)
    say("Everything is stopped." if ended else "Nothing runs.")


def _warn_of_other_settings(platform: Platform, say: Say) -> None:
    if environments.fingerprint(environments.carried(platform)) != platform.state.settings:
        say(
            "The settings differ from those the platform was started with; "
            "`churn platform down`, then `up`, applies them."
        )
