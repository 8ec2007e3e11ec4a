# The cluster, and what all services share. The services themselves are in services.tf.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  region = data.aws_region.current.name

  shared = {
    name                = var.name
    cluster_arn         = aws_ecs_cluster.this.arn
    namespace_id        = aws_service_discovery_private_dns_namespace.this.id
    vpc_id              = var.network.vpc_id
    subnet_ids          = var.network.subnet_ids
    secrets_key_arn     = var.keys.secrets
    logs_key_arn        = var.keys.logs
    log_retention_days  = var.log_retention_days
    endpoints_group_id  = var.network.endpoints_group_id
    database_group_id   = var.network.database_group_id
    s3_prefix_list_id   = var.network.s3_prefix_list_id
    load_balancer_group = var.network.load_balancer_group
  }

  # Repositories are made by terraform/bootstrap, once an account, so that production runs the image that staging ran.
  repository_path = join("/", slice(split("/", var.images.registry), 1, length(split("/", var.images.registry))))
  images = {
    for name in ["airflow", "mlflow", "api", "grafana"] : name => {
      name           = "${var.images.registry}/${name}:${var.images.tag}"
      repository_arn = "arn:${data.aws_partition.current.partition}:ecr:${local.region}:${data.aws_caller_identity.current.account_id}:repository/${local.repository_path}/${name}"
    }
  }
}

resource "aws_ecs_cluster" "this" {
  name = var.name
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

# Names inside the network: mlflow.<name>.internal and so on.
resource "aws_service_discovery_private_dns_namespace" "this" {
  name        = "${var.name}.internal"
  description = "Services by name, inside the network"
  vpc         = var.network.vpc_id
}
