"""The stack of docker-compose.yaml, built and brought up by `make`, once for all tests of this folder."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.containers.engine import DebianEngine, machines_own
from tests.containers.stack import Stack

# What was downloaded and built stays for the next time: some 10 GB.
KEPT = Path(os.environ.get("CHURN_CONTAINERS_KEPT", "/var/tmp/churn-containers"))


@contextmanager
def unchanged_network() -> Iterator[None]:
    """The machine has the same links, rules and forwarding after the block as before."""
    before = _network()
    yield
    assert _network() == before


def _network() -> tuple[str, ...]:
    links = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout
    told = [line for line in rules.splitlines() if line.startswith("-A")]  # without counters and times
    return (links, Path("/proc/sys/net/ipv4/ip_forward").read_text("utf-8"), *told)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The three images, and an engine that runs: the machine's own where there is one."""
    folder = tmp_path_factory.mktemp("stack")
    folder.chmod(0o755)  # the containers read policy and landing folder as another user
    with ExitStack() as running:
        engine = machines_own()
        if engine is None:
            debian = DebianEngine(KEPT)
            stack = Stack(debian.engine, folder)
            debian.prepare()
            running.enter_context(unchanged_network())
            stack.log("an engine out of Debian's packages and a base image are there")
            stack.set_up()
            with debian.building():
                stack.make("build")
                stack.make("build-for-prod")
            running.enter_context(debian.running())
        else:
            stack = Stack(engine, folder)
            stack.set_up()
            stack.make("build")
            stack.make("build-for-prod")
        stack.log("images are built")
        yield stack


@pytest.fixture(scope="session")
def stack(built: Stack) -> Iterator[Stack]:
    """The whole stack, healthy; taken down with its data at the end, whatever happened."""
    built.before = built.volumes()
    try:
        try:
            built.make("up")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{built.logs()}") from error
        built.log("the stack is healthy")
        yield built
    finally:
        built.compose("down", "--volumes", "--timeout", "20")
