"""`terraform/deploy`: what it refuses, and the plan that it would apply."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from churn.settings import PROJECT
from tests.terraform.emulated import OVERRIDE, REGION, Emulated

Deploy = Callable[..., subprocess.CompletedProcess[str]]
NEEDED = (
    ".gitignore",
    "requirements.txt",
    "include/churn/db/migrations/roles.sql",
    "include/churn_airflow/distributed.env",
)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository of one commit with our Terraform files in it."""
    folder = tmp_path / "clone"
    shutil.copytree(
        PROJECT / "terraform",
        folder / "terraform",
        ignore=shutil.ignore_patterns(".terraform*", "*.tfplan", "*.tfstate*", "*_override.tf"),
    )
    for name in NEEDED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


@pytest.fixture
def deploy(clone: Path) -> Deploy:
    """Run the deploy in the clone, with nothing of the caller's environment but PATH and HOME."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["terraform/deploy", *arguments],
            cwd=clone,
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "CHECKPOINT_DISABLE": "1"}
            | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


def test_help_names_every_step_and_the_way_back(deploy):
    said = deploy("--help")
    assert said.returncode == 0
    for step in ("build", "push", "plan", "ask", "apply", "migrate", "roll out", "smoke-test", "IMAGE_TAG"):
        assert step in said.stdout


def test_an_unknown_environment_shows_the_help(deploy):
    said = deploy("local", PLAN_ONLY="1", AWS_PROFILE="churn")
    assert said.returncode == 2
    assert "staging|production" in said.stderr


def test_a_missing_tool_is_named(deploy, tmp_path):
    for tool in ("bash", "dirname", "git", "env"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    said = deploy("staging", PATH=str(tmp_path / "bin"), AWS_PROFILE="churn")
    assert said.returncode == 1
    assert "install terraform aws docker curl first" in said.stderr


def test_missing_credentials_are_named(deploy, terraform_command):
    said = deploy("staging", PLAN_ONLY="1")
    assert said.returncode == 1
    assert "AWS_PROFILE" in said.stderr


def test_a_change_that_is_in_no_commit_is_refused(deploy, clone, terraform_command):
    (clone / "terraform" / "production.tfvars").write_text("# changed\n")
    said = deploy("production", PLAN_ONLY="1", AWS_PROFILE="churn")
    assert said.returncode == 1
    assert "in no commit" in said.stderr


def test_plan_only_shows_the_plan_and_changes_nothing(deploy, clone, emulated, cli_config, terraform_command):
    point_at(clone, emulated)
    environment = emulated.environment | {"TF_CLI_CONFIG_FILE": str(cli_config), "PLAN_ONLY": "1"}
    said = deploy("staging", **environment)
    assert said.returncode == 0, said.stdout[-3000:] + said.stderr[-3000:]
    planned = re.search(r"Plan: (\d+) to add, 0 to change, 0 to destroy", re.sub(r"\x1b\[[0-9;]*m", "", said.stdout))
    assert planned
    assert int(planned[1]) > 200
    assert "planned only" in said.stdout
    assert (clone / "terraform" / "staging.tfplan").exists()
    assert emulated.left_over() == {"buckets": [state_bucket(clone)]}


def test_the_way_back_needs_something_to_go_back_from(deploy, clone, emulated, cli_config, terraform_command):
    point_at(clone, emulated)
    earlier = git(clone, "rev-parse", "--short=12", "HEAD").strip()
    environment = emulated.environment | {"TF_CLI_CONFIG_FILE": str(cli_config), "PLAN_ONLY": "1"}
    said = deploy("staging", IMAGE_TAG=earlier, **environment)
    assert said.returncode == 1
    assert "nothing is deployed in staging" in said.stderr


def point_at(clone: Path, emulated: Emulated) -> None:
    """Let the clone's staging live in the emulated account."""
    shutil.copy(OVERRIDE, clone / "terraform")
    (clone / "terraform" / "backend_override.tf").write_text(
        'terraform {\n  backend "s3" {\n    use_path_style = true\n  }\n}\n'
    )
    values = clone / "terraform" / "staging.tfvars"
    text = values.read_text("utf-8")
    for name, value in emulated.values.items():
        text = re.sub(rf'^{name}( *)= ".*"$', rf'{name}\1= "{value}"', text, flags=re.MULTILINE)
    values.write_text(text, "utf-8")
    commit(clone)
    emulated.client("s3").create_bucket(
        Bucket=state_bucket(clone), CreateBucketConfiguration={"LocationConstraint": REGION}
    )


def state_bucket(clone: Path) -> str:
    found = re.search(
        r'^bucket *= "(.*)"$', (clone / "terraform" / "staging.backend.hcl").read_text("utf-8"), re.MULTILINE
    )
    assert found
    return found[1]


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(
        folder,
        "-c",
        "user.name=Test",
        "-c",
        "user.email=test@example.com",
        "commit",
        "--quiet",
        "--message",
        "A release",
    )


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout
