"""The emulated account: what has to be there before the first apply, and what may be there after the last destroy."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REGION = "eu-central-1"
ACCOUNT = "123456789012"  # moto's own
OVERRIDE = Path(__file__).with_name("emulator_override.tf")


@dataclass(frozen=True)
class Emulated:
    """One emulated account: its address, and clients for it."""

    endpoint: str
    make_client: Callable[..., Any]
    zone_id: str
    certificates: dict[str, str]

    @classmethod
    def prepare(cls, endpoint: str, make_client: Callable[..., Any]) -> "Emulated":
        """Make the zone and the two certificates that an owner of a domain brings along."""
        zone = make_client(endpoint, "route53").create_hosted_zone(
            Name="staging.churn.example.com", CallerReference="1"
        )
        certificates = {
            region: make_client(endpoint, "acm", region).request_certificate(DomainName="*.staging.churn.example.com")[
                "CertificateArn"
            ]
            for region in (REGION, "us-east-1")
        }
        return cls(endpoint, make_client, zone["HostedZone"]["Id"].rpartition("/")[2], certificates)

    @property
    def environment(self) -> dict[str, str]:
        """What every AWS client needs to come here and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def values(self) -> dict[str, str]:
        """The values of staging.tfvars that name things of this account."""
        return {
            "zone_id": self.zone_id,
            "certificate_arn": self.certificates[REGION],
            "page_certificate_arn": self.certificates["us-east-1"],
            "image_registry": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/churn",
        }

    def client(self, service: str, region: str = REGION) -> Any:
        """A client of one service."""
        return self.make_client(self.endpoint, service, region)

    def left_over(self) -> dict[str, list[str]]:
        """What of ours is still there, by kind; a kind without anything is left out."""
        log_groups = self.client("logs").describe_log_groups()["logGroups"]
        ecs = self.client("ecs")
        clusters = ecs.describe_clusters(clusters=ecs.list_clusters()["clusterArns"])["clusters"]
        ec2, elb, iam = self.client("ec2"), self.client("elbv2"), self.client("iam")
        found = {
            "networks": [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]],
            "addresses": [each["AllocationId"] for each in ec2.describe_addresses()["Addresses"]],
            "databases": [
                each["DBInstanceIdentifier"] for each in self.client("rds").describe_db_instances()["DBInstances"]
            ],
            "snapshots": [
                each["DBSnapshotIdentifier"]
                for each in self.client("rds").describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
            ],
            "buckets": [each["Name"] for each in self.client("s3").list_buckets()["Buckets"]],
            "queues": self.client("sqs").list_queues().get("QueueUrls", []),
            "secrets": [each["Name"] for each in self.client("secretsmanager").list_secrets()["SecretList"]],
            "clusters": [each["clusterName"] for each in clusters if each["status"] == "ACTIVE"],  # ECS goes on listing
            "task definitions": ecs.list_task_definitions(status="ACTIVE")["taskDefinitionArns"],
            "load balancers": [each["LoadBalancerName"] for each in elb.describe_load_balancers()["LoadBalancers"]],
            "target groups": [each["TargetGroupName"] for each in elb.describe_target_groups()["TargetGroups"]],
            "distributions": [
                each["Id"]
                for each in self.client("cloudfront").list_distributions()["DistributionList"].get("Items", [])
            ],
            "firewalls": [
                each["Name"] for each in self.client("wafv2").list_web_acls(Scope="REGIONAL").get("WebACLs", [])
            ],
            "roles": [each["RoleName"] for each in iam.list_roles()["Roles"] if each["RoleName"].startswith("churn-")],
            "log groups": [each["logGroupName"] for each in log_groups],
            "alarms": [
                each["AlarmName"] for each in self.client("cloudwatch").describe_alarms().get("MetricAlarms", [])
            ],
            "topics": [each["TopicArn"] for each in self.client("sns").list_topics()["Topics"]],
            "aliases of keys": [
                each["AliasName"]
                for each in self.client("kms").list_aliases()["Aliases"]
                if each["AliasName"].startswith("alias/churn")
            ],
        }
        return {kind: names for kind, names in found.items() if names}
