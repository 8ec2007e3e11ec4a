"""The words that run tests: each finds its own, and no folder with tests is left out."""

import re
import shutil
import subprocess

import pytest

from churn.settings import PROJECT
from tests.makefile import MAKEFILE, NOT_REMADE, make, said_well

# A suite inside a suite would take as long again: what it would run is collected by the same recipe.
COLLECT = {"PYTEST_ADDOPTS": "--collect-only"}
SUITES = re.findall(r"^\t.*\$\(BIN\)/pytest[^'\n]*? (tests/[^'\n]+)", MAKEFILE, re.MULTILINE)
BY_THEMSELVES = ("test-soak", "test-containers", "test-coverage", "test-terraform", "test-cluster")
NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")


def collected(told: str) -> list[int]:
    """How many tests each pytest has found."""
    return [int(count) for count in re.findall(r"^(\d+)(?:/\d+)? tests? collected", told, re.MULTILINE)]


def test_every_folder_with_tests_belongs_to_a_suite() -> None:
    folders = {f"tests/{file.relative_to(PROJECT / 'tests').parts[0]}" for file in PROJECT.glob("tests/*/test_*.py")}
    assert {folder for suite in SUITES for folder in suite.split()} == folders


def test_continuous_integration_lints_and_finds_every_suite_that_needs_no_machine_of_its_own() -> None:
    told = said_well(make("ci", variables=COLLECT))
    assert "All checks passed!" in told  # ruff
    assert "Contracts: " in told  # import-linter
    assert "Success: no issues found" in told  # mypy
    counts = collected(told)
    assert len(counts) == len(SUITES) - len(BY_THEMSELVES)
    assert min(counts) >= 1


@pytest.mark.parametrize("word", ["test-soak", "test-containers"])
def test_a_suite_that_continuous_integration_leaves_out_finds_its_tests(word: str) -> None:
    assert min(collected(said_well(make(word, variables=COLLECT)))) >= 1


def test_coverage_finds_its_tests_and_shows_what_their_imports_ran() -> None:
    """Of few files: all are found above, and take a minute to import line by line."""
    few = "--collect-only --ignore=tests/integration --ignore-glob=*/test_[d-z]*.py"
    told = said_well(make("test-coverage", variables={"PYTEST_ADDOPTS": few}))
    assert min(collected(told)) >= 1
    assert re.search(r"^TOTAL +\d+ +\d+ +\d+%", told, re.MULTILINE)


def test_terraforms_suite_finds_its_tests_or_names_what_is_missing() -> None:
    done = make("test-terraform", *NOT_REMADE, variables=COLLECT)
    if shutil.which("terraform") is None:
        assert done.returncode != 0
        assert "Install Terraform" in done.stdout
    else:
        assert min(collected(said_well(done))) >= 1


def test_the_clusters_suite_finds_its_tests_in_namespaces_of_its_own() -> None:
    if missing := [program for program in ("redis-server", "ip", "unshare") if shutil.which(program) is None]:
        pytest.skip(f"{' and '.join(missing)} would have to be installed; `make test-cluster` does so, as root")
    if subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("machines of namespaces are for root on Linux")
    assert min(collected(said_well(make("test-cluster", variables=COLLECT)))) >= 1
