"""The words that change files, each in a copy of the checkout: `make install`, `format`, `lock`, `clean`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from churn.settings import PROJECT
from tests.makefile import NOT_REMADE, make, said_well

CACHES = (".mypy_cache", ".pytest_cache", ".ruff_cache", ".import_linter_cache", ".hypothesis")
API_LOCK = "api/requirements.txt"
LOCKS = ("requirements.txt", "requirements-dev.txt", API_LOCK, "tests/requirements-moto.txt",
         "tests/requirements-checks.txt")  # fmt: skip
UNTIDY = '"""What a hurried hand wrote."""\nimport sys\nimport os\nHERE=os . sep\n'
TIDY = '"""What a hurried hand wrote."""\n\nimport os\n\nHERE = os.sep\n'


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its name, links aside."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and ".venv" not in file.relative_to(folder).parts
    }


def without_caches(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if not name.startswith(CACHES)}


@pytest.mark.usefixtures("package_index")
def test_install_makes_an_environment_with_every_pin_and_the_project_and_then_lets_it_be(copy: Path) -> None:
    """The build backend stands for all pins: what `make test` itself was started with had the others."""
    (copy / ".venv").unlink()
    (pin,) = re.findall(r"^setuptools==\S+$", (copy / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    (copy / "requirements.txt").write_text(f"{pin}\n")

    told = said_well(make("install", f"PYTHON={sys.executable}", folder=copy))

    assert "Next: make demo" in told
    frozen = subprocess.run(
        [copy / ".venv/bin/uv", "pip", "freeze", "--quiet"], cwd=copy, capture_output=True, text=True, check=True
    ).stdout
    assert pin in frozen.splitlines()
    where = subprocess.run(
        [copy / ".venv/bin/python", "-c", "import churn; print(churn.__file__)"],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert where.strip() == str(copy / "include/churn/__init__.py")
    assert (copy / ".venv/bin/churn").exists()
    made = (copy / ".venv/installed").stat().st_mtime_ns
    said_well(make("install", f"PYTHON={sys.executable}", folder=copy))
    assert (copy / ".venv/installed").stat().st_mtime_ns == made


def test_install_has_put_every_pin_of_the_lock_into_the_environment_of_the_checkout() -> None:
    """As resolved for this machine: nothing would be added, changed or updated."""
    assert "Next: make demo" in said_well(make("install"))
    wanted = [PROJECT / ".venv/bin/uv", "pip", "install", "--dry-run", "--offline", "-r", "requirements.txt"]
    asked = subprocess.run(wanted, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    assert "Would make no changes" in asked.stderr


def test_install_names_the_python_that_it_needs(copy: Path) -> None:
    (copy / ".venv").unlink()
    refused = make("install", "PYTHON=false", folder=copy)
    assert refused.returncode != 0
    assert "Python 3.11 is needed" in refused.stdout
    assert not (copy / ".venv").exists()


def test_format_tidies_what_is_untidy_and_touches_nothing_else(copy: Path) -> None:
    before = contents(copy)
    (copy / "include/churn/hurried.py").write_text(UNTIDY)
    said_well(make("format", *NOT_REMADE, folder=copy))
    after = without_caches(contents(copy))
    assert after.pop("include/churn/hurried.py").decode() == TIDY
    assert after == before


@pytest.mark.usefixtures("package_index")
def test_lock_leaves_pins_that_still_hold_and_gives_the_api_those_of_airflow(copy: Path) -> None:
    before = {name: (copy / name).read_text("utf-8") for name in LOCKS}
    without_pandas = re.sub(r"^pandas==.*\n(?:    #.*\n)*", "", before[API_LOCK], flags=re.MULTILINE)
    assert without_pandas != before[API_LOCK]
    (copy / API_LOCK).write_text(without_pandas)
    said_well(make("lock", *NOT_REMADE, folder=copy))
    assert {name: (copy / name).read_text("utf-8") for name in LOCKS} == before


def test_clean_removes_caches_and_nothing_that_is_somebodys(copy: Path) -> None:
    before = contents(copy)
    kept = {f"{place}/__pycache__/kept.pyc": b"" for place in (".local/state", ".venv-moto/lib")}
    gone = [f"{cache}/CACHEDIR.TAG" for cache in CACHES] + [
        "include/churn/__pycache__/x.pyc",
        "tests/__pycache__/x.pyc",
    ]
    for name in (*kept, *gone):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).touch()
    said_well(make("clean", folder=copy))
    assert contents(copy) == before | kept
    assert (copy / ".venv/bin/churn").exists()
