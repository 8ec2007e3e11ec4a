"""`make deploy-staging` and its kin: what they refuse, and the plan that they would apply."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from churn.settings import PROJECT
from tests.makefile import make, said_well
from tests.terraform.emulated import OVERRIDE, REGION, Emulated

BARE = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "CHECKPOINT_DISABLE": "1"}
Deploy = Callable[..., subprocess.CompletedProcess[str]]
NEEDED = (
    "Makefile",
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
            env=BARE | environment,
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


@pytest.mark.parametrize("word", ["deploy-staging", "deploy-production"])
def test_plan_only_shows_the_plan_and_changes_nothing(word, clone, emulated, cli_config, terraform_command):
    environment = word.removeprefix("deploy-")
    point_at(clone, emulated, environment)
    said = said_well(make(word, "PLAN_ONLY=1", folder=clone, environment=access(emulated, cli_config)))
    planned = re.search(r"Plan: (\d+) to add, 0 to change, 0 to destroy", without_colours(said))
    assert planned
    assert int(planned[1]) > 200
    assert "planned only" in said
    assert (clone / "terraform" / f"{environment}.tfplan").exists()
    assert emulated.left_over() == {"buckets": [state_bucket(clone, environment)]}


@pytest.mark.parametrize("word", ["roll-back-staging", "roll-back-production"])
def test_the_way_back_needs_to_be_told_where_to_and_something_to_go_back_from(
    word, clone, emulated, cli_config, terraform_command
):
    environment = word.removeprefix("roll-back-")
    point_at(clone, emulated, environment)
    account = access(emulated, cli_config) | {"PLAN_ONLY": "1"}
    assert "TO=<image tag> is missing" in make(word, folder=clone, environment=account).stderr
    said = make(word, f"TO={tag(clone)}", folder=clone, environment=account)
    assert said.returncode != 0
    assert f"nothing is deployed in {environment}" in said.stderr


def test_the_way_back_is_planned_unless_a_migration_lies_between(clone, emulated, cli_config, terraform_command):
    point_at(clone, emulated, "staging")
    account = access(emulated, cli_config)
    earlier = tag(clone)
    reach_the_state(clone, account)  # which leaves a lock of the provider's version, for the next commit
    running = released(clone, "README.md")
    know_as_running(clone, running, account)
    back = said_well(make("roll-back-staging", f"TO={earlier}", "PLAN_ONLY=1", folder=clone, environment=account))
    assert re.search(rf'image_tag += "{running}" -> "{earlier}"', without_colours(back))
    assert "planned only" in back

    migrated = released(clone, "include/churn/db/migrations/versions/0999_one_more.sql")
    know_as_running(clone, migrated, account)
    refused = make("roll-back-staging", f"TO={earlier}", "PLAN_ONLY=1", folder=clone, environment=account)
    assert refused.returncode != 0
    assert "lies a migration" in refused.stderr


def access(emulated: Emulated, cli_config: Path) -> dict[str, str]:
    """The whole environment of somebody with access to the emulated account."""
    return BARE | emulated.environment | {"TF_CLI_CONFIG_FILE": str(cli_config)}


def reach_the_state(clone: Path, account: dict[str, str]) -> None:
    init = ["terraform", "-chdir=terraform", "init", "-input=false", "-backend-config=staging.backend.hcl"]
    subprocess.run(init, cwd=clone, env=account, capture_output=True, timeout=120, check=True)


def know_as_running(clone: Path, tag: str, account: dict[str, str]) -> None:
    """Let the state of staging say which release runs, without the resources of one."""
    outputs = {"image_tag": {"value": tag, "type": "string"}}
    state = {"version": 4, "serial": 1, "lineage": "one", "outputs": outputs, "resources": []}
    push = ["terraform", "-chdir=terraform", "state", "push", "-force", "-"]
    done = subprocess.run(
        push, cwd=clone, env=account, input=json.dumps(state), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def released(clone: Path, file: str) -> str:
    """The tag of one more release, in which a file is new."""
    (clone / file).parent.mkdir(parents=True, exist_ok=True)
    (clone / file).write_text("-- new\n")
    commit(clone)
    return tag(clone)


def tag(clone: Path) -> str:
    return git(clone, "rev-parse", "--short=12", "HEAD").strip()


def without_colours(said: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", said)


def point_at(clone: Path, emulated: Emulated, environment: str) -> None:
    """Let an environment of the clone live in the emulated account."""
    shutil.copy(OVERRIDE, clone / "terraform")
    (clone / "terraform" / "backend_override.tf").write_text(
        'terraform {\n  backend "s3" {\n    use_path_style = true\n  }\n}\n'
    )
    values = clone / "terraform" / f"{environment}.tfvars"
    text = values.read_text("utf-8")
    for name, value in emulated.values.items():
        text = re.sub(rf'^{name}( *)= ".*"$', rf'{name}\1= "{value}"', text, flags=re.MULTILINE)
    values.write_text(text, "utf-8")
    commit(clone)
    emulated.client("s3").create_bucket(
        Bucket=state_bucket(clone, environment), CreateBucketConfiguration={"LocationConstraint": REGION}
    )


def state_bucket(clone: Path, environment: str) -> str:
    found = re.search(
        r'^bucket *= "(.*)"$', (clone / "terraform" / f"{environment}.backend.hcl").read_text("utf-8"), re.MULTILINE
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
