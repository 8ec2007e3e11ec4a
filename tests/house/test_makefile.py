"""The words that people type: each has a help text, stands with the people whom it is for, and is said by a test."""

import ast
import re
from collections.abc import Iterator

import pytest

from churn.settings import PROJECT
from tests.makefile import MAKEFILE, TARGETS, make, said_well

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
    listed = said_well(make("help"))
    groups = {block.split("\n")[0]: re.findall(r"^  (\S+) +\S", block, re.MULTILINE) for block in listed.split("\n\n")}
    for people, words in KNOWN.items():
        assert [word for word in words if word not in groups[people]] == [], people
    assert sorted(word for words in groups.values() for word in words) == sorted(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_is_a_word_and_not_a_file_of_that_name(name: str) -> None:
    asked = make(name, "--question", "TO=an-earlier-one")
    assert asked.returncode == 1, asked.stderr  # there is always something to do


def test_every_target_is_run_by_a_test() -> None:
    """Read from the tests: what they say by `make("word", ...)`, and what a word that they say says in its turn."""
    said = dict(words_in_tests())
    assert {word: file for word, file in said.items() if word not in TARGETS} == {}
    for word in [*said]:
        said |= {inner: f"{said[word]} by {word}" for inner in words_in_recipe(word) if inner not in said}
    assert [word for word in TARGETS if word not in said] == []


def words_in_tests() -> Iterator[tuple[str, str]]:
    """Each word that a test says, and the file that does."""
    for file in sorted((PROJECT / "tests").rglob("*.py")):
        text = file.read_text("utf-8")
        if "make(" in text:
            for function in ast.walk(ast.parse(text)):
                if isinstance(function, ast.FunctionDef):
                    yield from ((word, str(file.relative_to(PROJECT))) for word in words_said(function))


def words_said(function: ast.FunctionDef) -> Iterator[str]:
    """First arguments of calls of `make`: written out, or the parameter `word` of a parametrised test."""
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and call.args and name_of(call.func) == "make":
            match call.args[0]:
                case ast.Constant(value=str(word)):
                    yield word
                case ast.Name(id="word"):
                    yield from (value for each in function.decorator_list for value in values_of_word(each))


def values_of_word(decorator: ast.expr) -> list[str]:
    """What `parametrize("word", ...)` or `parametrize(("word", ...), ...)` gives it."""
    if not isinstance(decorator, ast.Call) or name_of(decorator.func) != "parametrize":
        return []
    names, values = (ast.literal_eval(each) for each in decorator.args)
    if names == "word":
        return list(values)
    return [row[0] for row in values] if names[0] == "word" else []


def name_of(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


def words_in_recipe(word: str) -> Iterator[str]:
    """What the recipe of a word tells make to do, itself or by the script of continuous integration."""
    (recipe,) = re.findall(rf"^{word}:.*\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE)
    if ".ci/run" in recipe:
        recipe += (PROJECT / ".ci/run").read_text("utf-8")
    for line in re.findall(r"^\t?@?(?:\$\(MAKE\)|make) (.*)", recipe, re.MULTILINE):
        for inner in set(line.split()) & set(TARGETS):
            yield inner
            yield from words_in_recipe(inner)
