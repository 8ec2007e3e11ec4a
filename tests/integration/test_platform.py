"""The pieces of the local platform, each alone; tests/e2e/test_platform_life.py runs it whole."""

import json
import os
import shlex
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from supervisor.options import ServerOptions

from churn.errors import AlreadyRunning, ConfigurationError, PlatformError
from churn.platform import environments, postgres
from churn.platform.addresses import shell_exports
from churn.platform.credentials import Credentials
from churn.platform.files import LONGEST_SOCKET_PATH, exclusive, last_lines, reserve_port
from churn.platform.layout import Platform
from churn.platform.leftovers import end_all, is_alive, processes_in, remains_of
from churn.platform.ports import LOOPBACK, free_port
from churn.platform.postgres import EmbeddedPostgres
from churn.platform.processes import processes_of
from churn.platform.state import State, choose_ports, socket_path
from churn.platform.supervisor import CONFIG, render_config
from churn.settings import Settings

PORTS = {"airflow": 8080, "mlflow": 5000, "api": 8000, "postgres": 5432}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "a home; 50% #1"
    folder.mkdir()
    return folder


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [*os.environ]:
        if name.startswith(("CHURN_", "MLFLOW_", "AIRFLOW_", "AWS_")):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def platform(home: Path, clean: pytest.MonkeyPatch) -> Platform:
    return Platform(Settings(home=home), home, Credentials.of(home), State(PORTS, PORTS, [5000], "/nowhere"))


Sleeper = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    """Start processes that sleep under a given environment; none outlives the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(environment: dict[str, str], code: str = "import time; time.sleep(300)") -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", f"print(flush=True); {code}"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


class TestSupervisorConfig:
    def test_supervisord_reads_every_path_as_it_is(
        self, platform: Platform, home: Path, clean: pytest.MonkeyPatch
    ) -> None:
        server = EmbeddedPostgres(home / "server 9%", home / "postgres", None)
        (home / CONFIG).write_text(render_config(processes_of(platform), server))
        (home / "logs").mkdir()
        (home / "run").mkdir()
        clean.chdir(home)
        clean.setenv("CHURN_PLATFORM_SOCKET", str(home / "run" / "x.sock"))
        clean.setenv("CHURN_PLATFORM_PYTHON", shlex.quote(str(home / "bin" / "python")))
        clean.setenv("CHURN_PLATFORM_POSTGRES", shlex.join(server.command(5432)))
        options = ServerOptions()
        options.realize(["-c", CONFIG])
        programs = {
            program.name: program for group in options.process_group_configs for program in group.process_configs
        }
        assert shlex.split(programs["postgres"].command) == server.command(5432)
        python, *rest = shlex.split(programs["mlflow"].command)
        assert python == str(home / "bin" / "python")
        assert rest == ["-m", "churn.platform.launch", "mlflow"]
        assert Path(programs["api"].stdout_logfile).resolve() == home / "logs" / "api.log"
        assert options.server_configs[0]["file"] == str(home / "run" / "x.sock")
        assert set(programs) == {"postgres", *(process.name for process in processes_of(platform))}

    def test_it_holds_no_secret(self, platform: Platform) -> None:
        text = render_config(processes_of(platform), None)
        assert not [secret for secret in vars(platform.credentials).values() if secret in text]

    def test_no_command_line_holds_a_secret(self, platform: Platform) -> None:
        lines = " ".join(" ".join(process.command(platform)) for process in processes_of(platform))
        assert not [secret for secret in vars(platform.credentials).values() if secret in lines]

    def test_the_socket_of_a_deep_home_is_short_and_private(self, tmp_path: Path) -> None:
        deep = tmp_path.joinpath(*["deep" * 5] * 5)
        path = socket_path(deep)
        assert len(str(path)) <= LONGEST_SOCKET_PATH
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert path == socket_path(deep) != socket_path(deep / "other")
        path.parent.rmdir()
        socket_path(deep / "other").parent.rmdir()


class TestCredentials:
    def test_they_are_made_once_and_private(self, home: Path) -> None:
        first = Credentials.of(home)
        assert stat.S_IMODE((home / "secrets.json").stat().st_mode) == 0o600
        assert Credentials.of(home) == first
        assert len(set(vars(first).values())) == len(vars(first))
        assert len(first.airflow_jwt_secret) >= 64

    def test_open_permissions_are_taken_back(self, home: Path) -> None:
        Credentials.of(home)
        (home / "secrets.json").chmod(0o644)
        Credentials.of(home)
        assert stat.S_IMODE((home / "secrets.json").stat().st_mode) == 0o600

    def test_a_secret_that_a_newer_version_needs_is_added(self, home: Path) -> None:
        first = Credentials.of(home)
        known = json.loads((home / "secrets.json").read_text())
        del known["mlflow"]
        (home / "secrets.json").write_text(json.dumps(known))
        again = Credentials.of(home)
        assert again.airflow == first.airflow
        assert again.mlflow not in ("", first.mlflow)

    def test_lost_secrets_of_a_living_database_are_not_replaced(self, home: Path) -> None:
        (home / "postgres").mkdir()
        with pytest.raises(PlatformError, match="holds a database but no secrets"):
            Credentials.of(home)

    def test_a_damaged_file_is_refused(self, home: Path) -> None:
        (home / "secrets.json").write_text("{")
        with pytest.raises(PlatformError, match="cannot be read"):
            Credentials.of(home)


class TestPorts:
    def test_a_taken_port_is_passed_over(self) -> None:
        first = free_port(31_000)
        with socket.create_server((LOOPBACK, first)):
            assert choose_ports({"api": first}, State())["api"] > first

    def test_a_port_taken_on_all_addresses_is_passed_over(self) -> None:
        first = free_port(31_100)
        with socket.create_server(("", first)):
            assert choose_ports({"api": first}, State())["api"] > first

    def test_the_last_ports_are_kept_while_they_are_free(self) -> None:
        first = free_port(31_200)
        last = State(ports={"api": free_port(first + 1)}, asked={"api": first})
        assert choose_ports({"api": first}, last) == last.ports
        with socket.create_server((LOOPBACK, last.ports["api"])):
            assert choose_ports({"api": first}, last) == {"api": first}

    def test_a_newly_asked_port_wins_over_the_last_one(self) -> None:
        first = free_port(31_300)
        last = State(ports={"api": first}, asked={"api": first})
        other = free_port(first + 5)
        assert choose_ports({"api": other}, last) == {"api": other}

    def test_two_platforms_that_start_at_once_do_not_choose_the_same_port(self) -> None:
        first = free_port(31_500)
        with ExitStack() as held:
            assert reserve_port(first, held)
            with ExitStack() as others:
                other = choose_ports({"api": first}, State(), lambda port: reserve_port(port, others))
                assert other["api"] == first + 1
        with ExitStack() as held:
            assert reserve_port(first, held)

    def test_no_two_services_get_the_same_port(self) -> None:
        first = free_port(31_400)
        assert len(set(choose_ports({"api": first, "mlflow": first, "airflow": first}, State()).values())) == 3


class TestAddresses:
    def test_a_shell_reads_the_exports_as_they_are(self) -> None:
        value = """it's $HOME `date` "x" \\ 50% \nend"""
        script = shell_exports({"ODD": value}) + 'printf %s "$ODD"'
        assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == value

    def test_our_own_database_is_not_taken_for_a_given_one(self, platform: Platform, clean: pytest.MonkeyPatch) -> None:
        clean.setenv("CHURN_DATABASE_URL", platform.own_url("churn_pipeline", "churn").replace("5432", "5999"))
        clean.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
        again = Platform(Settings(home=platform.home), platform.home, platform.credentials, platform.state)
        assert again.given_database is None
        assert again.given_mlflow is None

    def test_given_services_are_used_and_not_started(self, platform: Platform, clean: pytest.MonkeyPatch) -> None:
        clean.setenv("CHURN_DATABASE_URL", "postgresql://p:s@db.example/churn")
        clean.setenv("CHURN_AIRFLOW_DATABASE_URL", "postgresql://a:s@db.example/airflow")
        clean.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
        given = Platform(Settings(home=platform.home), platform.home, platform.credentials, platform.state)
        assert not given.embeds_postgres
        assert "mlflow" not in [process.name for process in processes_of(given)]
        assert given.database_url == "postgresql://p:s@db.example/churn"
        assert given.mlflow_url == "https://mlflow.example"
        assert given.admin_database_url is None
        with pytest.raises(ConfigurationError, match="CHURN_API_DATABASE_URL"):
            _ = given.api_database_url


class TestEnvironments:
    def test_relative_places_become_absolute(
        self, platform: Platform, clean: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        clean.chdir(tmp_path)
        clean.setenv("CHURN_POLICY_FILE", "policy.toml")
        clean.setenv("CHURN_LANDING_URL", "s3://bucket/landing")
        settings = Settings(home=platform.home)
        found = environments.carried(Platform(settings, platform.home, platform.credentials, platform.state))
        assert found["CHURN_POLICY_FILE"] == str(tmp_path / "policy.toml")
        assert found["CHURN_LANDING_URL"] == "s3://bucket/landing"

    def test_what_is_carried_is_stable_and_leaves_strangers_out(self, platform: Platform) -> None:
        given = {"PATH": "/bin", "SECRET_TOKEN": "x", "AWS_REGION": "eu", "CHURN_PLATFORM_HOME": "/other"}
        first = environments.carried(platform, given)
        assert environments.carried(platform, first) == first
        assert "SECRET_TOKEN" not in first
        assert "CHURN_PLATFORM_HOME" not in first
        assert first["AWS_REGION"] == "eu"

    def test_only_the_processes_that_run_jobs_get_notification_and_cloud_secrets(self, platform: Platform) -> None:
        source = {"AWS_SECRET_ACCESS_KEY": "k", "CHURN_NOTIFY_URLS": "mailto://u:p@x"}
        who = {
            process.name
            for process in processes_of(platform)
            if "CHURN_NOTIFY_URLS" in process.environment(platform, source)
        }
        assert who == {"airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}
        assert "AWS_SECRET_ACCESS_KEY" not in environments.of_api(platform, source)

    def test_telemetry_is_off_and_loopback_passes_every_proxy(self, platform: Platform) -> None:
        found = environments.everywhere(platform, "api", {"NO_PROXY": "corp.example", "HTTP_PROXY": "http://p"})
        assert found["DO_NOT_TRACK"] == "true"
        assert found["GX_ANALYTICS_ENABLED"] == "false"
        assert found["NO_PROXY"] == "corp.example,127.0.0.1,localhost"

    def test_the_connection_of_an_escaped_url_has_the_real_password(self) -> None:
        found = json.loads(environments.connection("postgresql://a%40b:p%2Fw@h:6543/churn?sslmode=require"))
        assert (found["login"], found["password"], found["port"]) == ("a@b", "p/w", 6543)
        assert found["extra"] == {"sslmode": "require"}


class TestLeftovers:
    def test_our_own_are_found_and_ended_and_strangers_are_not(self, home: Path, sleeper: Sleeper) -> None:
        stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(300)"
        own = sleeper(environments.marks(home, "mlflow"))
        deaf = sleeper(environments.marks(home, "api"), stubborn)
        stranger = sleeper(environments.marks(home / "other", "mlflow"))
        assert {process.pid for process in processes_in(home)} == {own.pid, deaf.pid}
        assert [process.pid for process in remains_of(home, "mlflow")] == [own.pid]
        assert end_all(home, patience=0.5) == 2
        assert not is_alive(psutil.Process(own.pid))
        assert not is_alive(psutil.Process(deaf.pid))
        assert stranger.poll() is None

    def test_a_stale_pid_file_that_names_a_stranger_kills_nobody(self, home: Path, sleeper: Sleeper) -> None:
        stranger = sleeper({})
        (home / "run").mkdir()
        (home / "run" / "supervisord.pid").write_text(str(stranger.pid))
        assert end_all(home) == 0
        assert stranger.poll() is None

    def test_the_caller_is_spared_though_it_bears_the_mark(self, home: Path, sleeper: Sleeper) -> None:
        code = f"""from pathlib import Path
from churn.platform.leftovers import end_all
print(end_all(Path({str(home)!r})))"""
        environment = environments.marks(home, "airflow-scheduler")
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "0"


class TestFiles:
    def test_the_lock_names_its_holder_and_ends_with_the_block(self, home: Path) -> None:
        with exclusive(home), pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"), exclusive(home):
            pass
        with exclusive(home):
            pass

    def test_the_last_lines_of_a_log(self, home: Path) -> None:
        log = home / "x.log"
        assert last_lines(log, 3) == []
        log.write_text("".join(f"line {number}\n" for number in range(1000)))
        assert last_lines(log, 2) == ["line 998", "line 999"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user for PostgreSQL")
class TestPostgresAsRoot:
    def test_data_outside_an_unreachable_home_are_made_anew_with_it(self, tmp_path: Path) -> None:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        server = EmbeddedPostgres.under(closed)
        try:
            assert server.data.parent == postgres.SHARED_ROOT
            server.initialise("first")
            assert (closed / "postgres").resolve() == server.data
            kept = (server.data / "initialised").stat().st_mtime_ns
            EmbeddedPostgres.under(closed).initialise("first")
            assert (server.data / "initialised").stat().st_mtime_ns == kept
            (closed / "postgres").unlink()  # as if the state folder had been deleted and made again
            EmbeddedPostgres.under(closed).initialise("second")
            assert (server.data / "initialised").stat().st_mtime_ns > kept
            assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        finally:
            postgres.shutil.rmtree(server.data)

    def test_a_server_that_its_user_cannot_reach_runs_from_a_copy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As with a checkout below a home of mode 0700: the wheel is copied with the libraries beside it."""
        shared = Path(tempfile.mkdtemp(prefix="churn-test-shared-"))
        monkeypatch.setattr(postgres, "SHARED_ROOT", shared)
        reachable = postgres._can_reach
        monkeypatch.setattr(
            postgres, "_can_reach", lambda user, path: path.name != "postgres" and reachable(user, path)
        )
        previous = os.umask(0o077)
        try:
            server = EmbeddedPostgres.under(tmp_path / "home")
            assert server.install.is_relative_to(shared)
            server.initialise("secret")
            port = free_port(26_000)
            server.start(port, shared / "postgres.log")
            server.stop()
        finally:
            os.umask(previous)
            postgres.shutil.rmtree(shared)
