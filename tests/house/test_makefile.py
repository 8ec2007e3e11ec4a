"""The words that people type: each has a help text and stands with the people whom it is for."""

import re
import subprocess

import pytest

from churn.settings import PROJECT

MAKEFILE = (PROJECT / "Makefile").read_text("utf-8")
TARGETS = re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.MULTILINE)
KNOWN = {
    "Whoever is new here": ["install", "demo", "deploy-local", "down", "status"],
    "Containers": ["setup-data", "build", "build-for-prod", "up", "logs", "health-check"],
    "AWS": ["deploy-staging", "deploy-production"],
    "Pipeline operators": ["train", "retrain-models", "score", "drift", "backup-data"],
    "Data scientists": ["evaluate-models", "model-performance", "validate-model", "deploy-best-model"],
    "On-call": ["monitor-metrics", "check-alerts", "api-performance", "test-predictions"],
    "Developers": [
        *("lint", "format", "test", "test-unit", "test-integration", "test-e2e", "test-coverage", "ci"),
        "performance-test",
        "security-scan",
        "test-containers",
    ],
}


def test_every_word_that_people_know_is_listed_with_them_and_says_what_it_does() -> None:
    listed = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    groups = {block.split("\n")[0]: re.findall(r"^  (\S+) +\S", block, re.MULTILINE) for block in listed.split("\n\n")}
    for people, words in KNOWN.items():
        assert [word for word in words if word not in groups[people]] == [], people
    assert sorted(word for words in groups.values() for word in words) == sorted(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_is_a_word_and_not_a_file_of_that_name(name: str) -> None:
    asked = subprocess.run(
        ["make", "--question", name, "TO=an-earlier-one"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert asked.returncode == 1, asked.stderr  # there is always something to do
