"""Staging in an emulated account: it comes up, a second plan changes nothing of ours, destroy leaves nothing."""

import json
import shutil
from typing import Any

import pytest

from tests.terraform.emulated import OVERRIDE, Emulated
from tests.terraform.runner import Terraform

IMAGE_TAG = "0123456789ab"

# What the emulator itself forgets or writes differently, by type and attribute: a second plan wants to set it again.
# AWS answers with what it was given. Whatever is not in this list fails the test.
OF_THE_EMULATOR = {
    # forgets tags of scalable targets
    "aws_appautoscaling_target": {"tags_all"},
    # forgets performance insights
    "aws_db_instance": {
        "performance_insights_enabled",
        "performance_insights_kms_key_id",
        "performance_insights_retention_period",
    },
    # forgets every parameter of a group
    "aws_db_parameter_group": {"parameter"},
    # forgets how a service is started and tagged
    "aws_ecs_service": {
        "availability_zone_rebalancing",
        "enable_ecs_managed_tags",
        "health_check_grace_period_seconds",
    },
    # forgets the description of a rule that names a group or a list of addresses
    "aws_vpc_security_group_egress_rule": {"description"},
    "aws_vpc_security_group_ingress_rule": {"description"},
    # answers with forwarded values and a default certificate that nobody asked for
    "aws_cloudfront_distribution": {"default_cache_behavior", "viewer_certificate"},
    # writes the redrive policy with white space; the queue's own policy is then unknown until applied
    "aws_sqs_queue": {"redrive_policy"},
    "aws_sqs_queue_policy": {"policy"},
}


@pytest.fixture
def staging(terraform: Terraform, emulated: Emulated) -> Terraform:
    """staging.tfvars with what names things of the emulated account, and a local state."""
    shutil.copy(OVERRIDE, terraform.folder)
    (terraform.folder / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    own = {**emulated.values, "image_tag": IMAGE_TAG}
    (terraform.folder / "emulated.tfvars.json").write_text(json.dumps(own))
    terraform.values = ["-var-file=staging.tfvars", "-var-file=emulated.tfvars.json"]
    terraform.environment |= emulated.environment
    terraform.run("init", "-no-color")
    return terraform


@pytest.mark.timeout(1800)  # it waits for most of it: the provider asks again every ten seconds
def test_staging_comes_up_stays_as_it_is_and_goes_without_a_trace(staging, emulated):
    staging.run("apply", "-no-color", "-auto-approve", "-parallelism=40", *staging.values)
    assert_no_secret_is_in_the_state(staging, emulated)
    assert_the_deploy_finds_what_it_needs(staging, emulated)
    assert changes(staging.plan()) == []
    staging.run("destroy", "-no-color", "-auto-approve", "-parallelism=40", *staging.values)
    assert staging.run("state", "list") == ""
    assert emulated.left_over() == {}


def assert_no_secret_is_in_the_state(staging: Terraform, emulated: Emulated) -> None:
    """Each drawn password is in Secrets Manager, and the state does not hold it."""
    secrets, state = emulated.client("secretsmanager"), (staging.folder / "terraform.tfstate").read_text("utf-8")
    roles = ("airflow", "mlflow", "churn_api", "crm_reader", "grafana_reader")
    for name in [f"churn-staging/database/{role}" for role in roles] + ["churn-staging/connections/churn_db"]:
        password = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])["password"]
        assert len(password) == 40
        assert password not in state


def assert_the_deploy_finds_what_it_needs(staging: Terraform, emulated: Emulated) -> None:
    """The outputs name a task and services that the account knows."""
    ecs = emulated.client("ecs")
    cluster = staging.run("output", "-raw", "cluster")
    migration = json.loads(staging.run("output", "-raw", "migration"))
    task = ecs.describe_task_definition(taskDefinition=migration["taskDefinition"])["taskDefinition"]
    assert task["containerDefinitions"][0]["image"].endswith(f"/airflow:{IMAGE_TAG}")
    rollout = [line.split() for line in staging.run("output", "-raw", "rollout").splitlines()]
    known = ecs.describe_services(cluster=cluster, services=[name for name, _, _ in rollout])["services"]
    assert {service["serviceName"] for service in known} == {name for name, _, _ in rollout}
    assert all(int(count) >= 1 for _, _, count in rollout)


def changes(plan: dict[str, Any]) -> list[str]:
    """What a plan would change, beyond what the emulator forgets: `address.attribute`, or the action on the whole."""
    found = []
    for resource in plan["resource_changes"]:
        change = resource["change"]
        if change["actions"] in (["no-op"], ["read"]):
            continue
        if change["actions"] != ["update"]:
            found.append(f"{resource['address']}: {change['actions']}")
            continue
        excused = OF_THE_EMULATOR.get(resource["type"], set())
        found += [f"{resource['address']}.{name}" for name in differing(change) if name not in excused]
    return found


def differing(change: dict[str, Any]) -> list[str]:
    """Attributes that a change sets anew; one that AWS is to say counts too."""
    before, after, unknown = change["before"], change["after"], change["after_unknown"]
    names = {*before, *after, *unknown}
    return sorted(name for name in names if unknown.get(name) or before.get(name) != after.get(name))
