"""The words that people type: each has a help text and stands with the people whom it is for."""

import re
import subprocess

import pytest

from churn.settings import PROJECT

MAKEFILE = (PROJECT / "Makefile").read_text("utf-8")
TARGETS = re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.MULTILINE)
KNOWN = (
    "install demo deploy-local down status train retrain-models score drift evaluate-models model-performance"
    " validate-model deploy-best-model api-performance test-predictions lint format test test-unit test-integration"
    " test-e2e test-coverage ci performance-test"
).split()


@pytest.mark.parametrize("name", KNOWN)
def test_the_words_that_people_know_are_there(name: str) -> None:
    assert name in TARGETS


def test_every_target_says_what_it_does_and_is_listed_with_its_people() -> None:
    listed = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert [name for name in TARGETS if not re.search(rf"^  {name} +\S", listed, re.MULTILINE)] == []
    assert len(TARGETS) == len(set(TARGETS))
    for people in ("Whoever is new here", "Pipeline operators", "Data scientists", "On-call", "Developers"):
        assert people in listed


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_is_a_word_and_not_a_file_of_that_name(name: str) -> None:
    asked = subprocess.run(["make", "--question", name], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert asked.returncode == 1, asked.stderr  # there is always something to do
