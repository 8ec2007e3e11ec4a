"""Machines and the network between them, as namespaces below the one that this process runs in.

`make test-cluster` runs pytest in network, mount and PID namespaces of its own: those of the machine that controls
everything. The machine's real interfaces are not in there, and whatever becomes of pytest, its end is the end of all
that it started.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from churn.settings import PROJECT

NETWORK = "10.77.0"
CONTROL = f"{NETWORK}.1"
SCRIPT = Path(__file__).with_name("machine.sh")
IMAGE = ("/usr", "/etc", sys.base_prefix, str(PROJECT))  # what of the disk a container's image would hold
SYSTEM = {
    "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/srv/airflow",
    "LANG": "C.UTF-8",
}
PATIENCE_SECONDS = 30


@contextmanager
def network() -> Iterator[None]:
    """A bridge in this namespace, which has nothing but its loopback, with the control machine's address."""
    found = [name for name in psutil.net_if_addrs() if name != "lo"]
    assert not found, f"{found} are the machine's own: run `make test-cluster`, which works beside them"
    _ip("link", "set", "lo", "up")
    _ip("link", "add", "cluster", "type", "bridge")
    _ip("address", "add", f"{CONTROL}/24", "dev", "cluster")
    _ip("link", "set", "cluster", "up")
    try:
        yield
    finally:
        _ip("link", "delete", "cluster")


@dataclass
class Machine:
    """A machine with a name, an address, an empty disk, and one command that runs on it."""

    name: str
    number: int
    folder: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def address(self) -> str:
        return f"{NETWORK}.{10 + self.number}"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def start(self, command: list[str], environment: Mapping[str, str]) -> None:
        """Switch it on, plugged into the network, with this as its only command."""
        self._plug_in()
        root = self.folder / self.name
        root.mkdir(exist_ok=True)
        apart = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child=KILL"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    "ip",
                    "netns",
                    "exec",
                    self.name,
                    *apart,
                    "sh",
                    str(SCRIPT),
                    str(root),
                    self.name,
                    *IMAGE,
                    "--",
                    *command,
                ],
                env=SYSTEM | dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def run(self, *command: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run one more command on it, as somebody who is logged in there would; `given` is its input."""
        inside = ["nsenter", "--target", str(self._first().pid), "--net", "--mount", "--uts", "--pid", "--root", "--wd"]
        return subprocess.run(
            [*inside, *command], env=SYSTEM, input=given, capture_output=True, timeout=60, check=False
        )

    def has_said(self, words: str) -> bool:
        """Whether its command has written this to its log; fails where it has ended."""
        self._first()
        return words in self.log.read_text("utf-8")

    def memory(self) -> int:
        """Bytes that all its processes hold, what they share counted once."""
        return sum(process.memory_full_info().pss for process in self._processes())

    def cut_off_and_kill(self) -> None:
        """Pull the network's cable, so that no goodbye gets out, and kill everything on it with -9."""
        assert self.process
        _ip("link", "set", self._cable, "down")
        self.process.send_signal(signal.SIGKILL)  # the first process of its PID namespace goes with it, and so do all
        self.process.wait(PATIENCE_SECONDS)
        self._unplug()

    def switch_off(self) -> None:
        """End its command with TERM, as an orderly shutdown does."""
        if self.process is None or self.process.poll() is not None:
            return
        self._first().send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(PATIENCE_SECONDS)
        self._unplug()

    @property
    def _cable(self) -> str:
        return f"to-{self.name}"

    def _plug_in(self) -> None:
        _ip("netns", "add", self.name)
        _ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("link", "set", self._cable, "master", "cluster", "up")
        _ip("-n", self.name, "link", "set", "lo", "up")
        _ip("-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
        _ip("-n", self.name, "link", "set", "eth0", "up")

    def _unplug(self) -> None:
        _ip("netns", "delete", self.name)

    def _first(self) -> psutil.Process:
        """The first process of its PID namespace."""
        assert self.process
        assert self.process.poll() is None, self.log.read_text("utf-8")[-3_000:]
        return psutil.Process(self.process.pid).children()[0]

    def _processes(self) -> list[psutil.Process]:
        first = self._first()
        return [first, *first.children(recursive=True)]


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
