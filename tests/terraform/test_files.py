"""What needs no AWS: formatted, valid, decided as it says, refused with a message, and without a known weakness."""

import re
import shutil
import subprocess

import pytest

from churn.settings import PROJECT
from tests.makefile import make

TESTS = {"staging": "staging", "production": "production", "refusals": "production"}


def test_the_files_are_formatted(terraform):
    assert terraform.run("fmt", "-check", "-recursive", "-diff") == ""


def test_staging_and_production_are_valid_and_decide_as_they_say(terraform):
    terraform.run("init", "-backend=false", "-no-color")
    assert "The configuration is valid." in terraform.run("validate", "-no-color")
    for name, environment in TESTS.items():
        said = terraform.run("test", "-no-color", f"-var-file={environment}.tfvars", f"-filter=tests/{name}.tftest.hcl")
        assert "Success!" in said
        assert " 0 failed" in said


def test_the_bootstrap_is_valid(terraform):
    terraform.folder /= "bootstrap"
    terraform.run("init", "-backend=false", "-no-color")
    assert "The configuration is valid." in terraform.run("validate", "-no-color")


def test_the_security_scan_finds_nothing_that_is_not_explained_beside_it():
    if not (PROJECT / ".venv-checks" / "bin" / "checkov").exists():
        pytest.skip(".venv-checks is absent: run `make .venv-checks/installed`")
    said = make("security-scan").stdout
    verdicts = dict(re.findall(r"^(.*?) \(.*?\) +(\S.*)$", said, re.MULTILINE))
    dependencies = verdicts.pop("dependencies")
    assert dependencies == "clean" or dependencies.startswith("NOT SCANNED: "), said[-6000:]
    assert verdicts == dict.fromkeys(("code", "secrets", "infrastructure"), "clean"), said[-6000:]


def test_every_exception_of_checkov_says_why():
    marks = [
        line.strip()
        for file in sorted((PROJECT / "terraform").rglob("*.tf"))
        for line in file.read_text("utf-8").splitlines()
        if "checkov:skip" in line
    ]
    assert marks
    assert [mark for mark in marks if len(mark.partition(":skip=")[2].partition(":")[2]) < 10] == []


def test_shellcheck_finds_nothing_in_the_deploy():
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    subprocess.run(["shellcheck", "terraform/deploy"], cwd=PROJECT, check=True)
