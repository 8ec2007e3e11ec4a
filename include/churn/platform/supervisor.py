"""supervisord: its configuration, its start, and the questions we ask it.

Paths reach it without any escaping: names inside the state folder are relative to its working directory, the
others come through its environment, where neither a space nor a % means anything.
"""

import http.client
import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client  # nosec B411 - the other side is our own supervisor, on its private socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from churn.errors import PlatformError
from churn.platform import environments
from churn.platform.files import last_lines, write_private
from churn.platform.layout import Platform
from churn.platform.leftovers import SUPERVISOR
from churn.platform.postgres import EmbeddedPostgres
from churn.platform.processes import POSTGRES, Process, log_of, processes_of

CONFIG = "supervisord.conf"
_GROUP = "services"
_UNREACHABLE = (OSError, http.client.HTTPException, xmlrpc.client.Error)

_HEAD = """\
; Written at every start of the platform. Holds no secret.
[unix_http_server]
file=%(ENV_CHURN_PLATFORM_SOCKET)s
chmod=0600

[supervisord]
logfile=logs/supervisor.log
logfile_maxbytes=5MB
logfile_backups=2
pidfile=run/supervisord.pid
childlogdir=logs
umask=077
minfds=1024

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

_PROGRAM = """
[program:{name}]
command={command}
autostart=false
autorestart=true
startsecs=2
startretries=20
stopwaitsecs={stop_seconds}
stopsignal={stop_signal}
stopasgroup={as_group}
killasgroup=true
redirect_stderr=true
stdout_logfile=logs/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""


@dataclass(frozen=True)
class Supervised:
    """What the supervisor says of one process; `started_at` in seconds since the epoch."""

    name: str
    state: str
    pid: int
    started_at: float
    complaint: str

    @property
    def runs(self) -> bool:
        """Whether it has stayed up for its first seconds, or is in them."""
        return self.state in ("RUNNING", "STARTING")

    @property
    def given_up(self) -> bool:
        """Whether the supervisor will not try again by itself."""
        return self.state == "FATAL"


def render_config(processes: Sequence[Process], server: EmbeddedPostgres | None) -> str:
    """The configuration of supervisord. All services stop at once, PostgreSQL after them."""
    programs = [_program(process) for process in processes]
    names = ",".join(process.name for process in processes)
    parts = [_HEAD, *programs, f"\n[group:{_GROUP}]\nprograms={names}\npriority=20\n"]
    if server:
        command = "%(ENV_CHURN_PLATFORM_POSTGRES)s"
        program = _PROGRAM.format(name=POSTGRES, command=command, stop_seconds=30, stop_signal="INT", as_group="false")
        user = f"user={server.os_user}\n" if server.os_user else ""
        parts.append(f"{program}{user}directory=/\npriority=10\n")
    return "".join(parts)


def _program(process: Process) -> str:
    return _PROGRAM.format(
        name=process.name,
        command=f"%(ENV_CHURN_PLATFORM_PYTHON)s -m churn.platform.launch {process.name}",
        stop_seconds=process.stop_seconds,
        stop_signal="TERM",
        as_group=str(not process.stops_children).lower(),
    )


def start(platform: Platform, server: EmbeddedPostgres | None) -> None:
    """Start supervisord in the background, running nothing yet, and wait until it answers.

    Raises PlatformError with its own words where it does not.
    """
    write_private(platform.home / CONFIG, render_config(processes_of(platform), server))
    for folder in (platform.logs, platform.home / "run"):
        folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", CONFIG],
        cwd=platform.home,
        env=_environment(platform, server),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    log = log_of(platform, SUPERVISOR)
    if done.returncode != 0:
        raise PlatformError(f"supervisord did not start: {done.stdout.strip()[-800:]}", f"Read {log}.")
    deadline = time.monotonic() + 15
    while not answers(platform):
        if time.monotonic() > deadline:
            tail = "\n".join(last_lines(log, 10))
            raise PlatformError(f"supervisord does not answer.\n{tail}", f"Read {log}.")
        time.sleep(0.05)


def _environment(platform: Platform, server: EmbeddedPostgres | None) -> dict[str, str]:
    own = {
        "CHURN_PLATFORM_SOCKET": platform.state.socket,
        "CHURN_PLATFORM_PYTHON": shlex.quote(sys.executable),
        "PYTHONSAFEPATH": "1",
    }
    if server:
        # `env -i`: PostgreSQL sees nothing of what the supervisor carries for the others.
        marks = environments.marks(platform.home, POSTGRES)
        clean = [f"{name}={value}" for name, value in marks.items()]
        command = [
            "/usr/bin/env",
            "-i",
            "LC_ALL=C.UTF-8",
            *clean,
            *server.command(platform.state.ports["postgres"]),
        ]
        own["CHURN_PLATFORM_POSTGRES"] = shlex.join(command)
    return environments.carried(platform) | environments.marks(platform.home, SUPERVISOR) | own


def answers(platform: Platform) -> bool:
    """Whether the supervisor of this platform answers, and is not on its way out."""
    try:
        return bool(_ask(platform).getState()["statename"] == "RUNNING")
    except _UNREACHABLE:
        return False


def supervised(platform: Platform) -> dict[str, Supervised]:
    """What the supervisor knows of each process. Raises PlatformError where it does not answer."""
    try:
        found: Any = _ask(platform).getAllProcessInfo()
    except _UNREACHABLE as error:
        raise PlatformError("The platform's supervisor does not answer.", "Run `churn platform up`.") from error
    return {
        info["name"]: Supervised(
            info["name"],
            info["statename"],
            info["pid"],
            float(info["start"]),
            info["spawnerr"] or info["description"],
        )
        for info in found
    }


def ensure_started(platform: Platform, names: Sequence[str]) -> None:
    """Ask for those of the named processes that do not run to be started; does not wait for them.

    Raises PlatformError where the supervisor refuses.
    """
    known = supervised(platform)
    for name in names:
        if name not in known:
            raise PlatformError(
                f"The running platform was started without {name}.",
                "Run `churn platform down`, then `churn platform up`.",
            )
        if known[name].state in ("STOPPED", "EXITED", "FATAL"):
            _start(platform, name)


def _start(platform: Platform, name: str) -> None:
    try:
        _ask(platform).startProcess(name if name == POSTGRES else f"{_GROUP}:{name}", False)
    except xmlrpc.client.Fault as fault:
        if fault.faultString.startswith("ALREADY_STARTED"):
            return
        raise PlatformError(
            f"{name} could not be started: {fault.faultString}.", f"Read {log_of(platform, name)}."
        ) from fault


def forget_socket(path: str) -> None:
    """Remove the control socket, and its folder where that was made for it alone."""
    if not path:
        return
    socket = Path(path)
    socket.unlink(missing_ok=True)
    if socket.parent.name.startswith(f"churn-{os.geteuid()}-") and socket.parent.is_dir():
        socket.parent.rmdir()


def _ask(platform: Platform) -> Any:
    """The supervisor's own namespace over its socket; a connection a question, so threads may ask at once."""
    transport = SupervisorTransport(None, None, f"unix://{platform.state.socket}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport).supervisor
