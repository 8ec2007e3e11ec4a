"""A copy of the checkout, for words that change files."""

import shutil
import subprocess
from pathlib import Path

import pytest

from churn.settings import PROJECT

UV = PROJECT / ".venv/bin/uv"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Every tracked file as it is now, beside the environment of the checkout."""
    folder = tmp_path / "a copy"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    (folder / ".venv").symlink_to(PROJECT / ".venv")
    return folder


@pytest.fixture(scope="session")
def package_index() -> None:
    """A package index that answers, or the test is skipped."""
    asked = subprocess.run(
        [UV, "pip", "compile", "--no-cache", "--no-deps", "--quiet", "-"],
        input="setuptools\n", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if asked.returncode != 0:
        pytest.skip(f"no package index is reachable from here: {asked.stderr[-300:]}")
