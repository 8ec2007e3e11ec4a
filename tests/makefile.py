"""The words of the Makefile, and how a test says one: as a person does, in a shell of its own."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from churn.settings import PROJECT

MAKEFILE = (PROJECT / "Makefile").read_text("utf-8")
TARGETS = re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.MULTILINE)
# What an outer `make test` and its pytest leave in the environment: a job server's pipes, options, a worker's name.
OF_AN_OUTER_RUN = ("MAKE", "MFLAGS", "PYTEST_")
# Taken as they are, or as if they were there: a test of a copy must not install the copy, nor a collection the tools.
NOT_REMADE = tuple(
    f"--old-file=.venv{name}" for name in ("/installed", "/installed-dev", "-moto/installed", "-checks/installed")
)


def make(
    word: str,
    *arguments: str,
    folder: Path = PROJECT,
    environment: Mapping[str, str] = os.environ,
    variables: Mapping[str, str] | None = None,
    seconds: int = 600,
) -> subprocess.CompletedProcess[str]:
    """Say a word, with arguments of make's own, in `environment` and what `variables` add to it."""
    inherited = {name: value for name, value in environment.items() if not name.startswith(OF_AN_OUTER_RUN)}
    return subprocess.run(
        ["make", "--silent", word, *arguments],
        cwd=folder, env=inherited | dict(variables or {}), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=seconds, check=False,
    )  # fmt: skip


def said_well(done: subprocess.CompletedProcess[str]) -> str:
    """What a word that ended well printed; fails the test with the end of it where it did not."""
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    return done.stdout
