# One ECS service on Fargate: its own roles, its own security group, its own log.
data "aws_region" "current" {}

locals {
  full_name            = "${var.cluster.name}-${var.service_name}"
  behind_load_balancer = try(var.ingress.from_load_balancer, false)
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:tasks' logs live in the log bucket; what a process prints is looked at within weeks
  name              = "/${var.cluster.name}/${var.service_name}"
  retention_in_days = var.cluster.log_retention_days
  kms_key_id        = var.cluster.logs_key_arn
}

resource "aws_ecs_task_definition" "this" {
  #checkov:skip=CKV_AWS_336:Airflow, MLflow and Grafana write beside themselves; the disk is the task's own and ends with it
  family                   = local.full_name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.size.cpu
  memory                   = var.size.memory
  execution_role_arn       = aws_iam_role.start.arn
  task_role_arn            = aws_iam_role.run.arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }

  ephemeral_storage {
    size_in_gib = var.size.disk
  }

  container_definitions = jsonencode([{
    name         = var.service_name
    image        = var.image.name
    essential    = true
    command      = var.command
    stopTimeout  = var.stop_seconds
    environment  = [for name, value in var.environment : { name = name, value = value }]
    secrets      = [for name, from in var.secrets : { name = name, valueFrom = "${from.arn}:${from.key}::" }]
    portMappings = var.ingress == null ? [] : [{ containerPort = var.ingress.port, hostPort = var.ingress.port, protocol = "tcp" }]
    linuxParameters = {
      initProcessEnabled = true
    }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = data.aws_region.current.name
        awslogs-stream-prefix = "task"
      }
    }
  }])
}

resource "aws_service_discovery_service" "this" {
  count = var.runs && var.ingress != null ? 1 : 0

  name = var.service_name
  dns_config {
    namespace_id   = var.cluster.namespace_id
    routing_policy = "MULTIVALUE"
    dns_records {
      type = "A"
      ttl  = 10 # seconds
    }
  }
}

# Terraform makes the service; the deploy starts it, after the migration: a process refuses a database that is behind.
resource "aws_ecs_service" "this" {
  count = var.runs ? 1 : 0

  name                               = var.service_name
  cluster                            = var.cluster.cluster_arn
  task_definition                    = aws_ecs_task_definition.this.arn
  desired_count                      = 0
  launch_type                        = "FARGATE"
  platform_version                   = "LATEST"
  propagate_tags                     = "SERVICE"
  enable_ecs_managed_tags            = true
  health_check_grace_period_seconds  = local.behind_load_balancer ? 180 : null
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  # Tasks that do not come up put the old ones back.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.cluster.subnet_ids
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = false
  }

  dynamic "load_balancer" {
    for_each = local.behind_load_balancer ? [var.ingress] : []
    content {
      target_group_arn = load_balancer.value.target_group_arn
      container_name   = var.service_name
      container_port   = load_balancer.value.port
    }
  }

  dynamic "service_registries" {
    for_each = aws_service_discovery_service.this
    content {
      registry_arn = service_registries.value.arn
    }
  }

  lifecycle {
    ignore_changes = [task_definition, desired_count] # the deploy and the scaling move these
  }

  timeouts {
    delete = "20m"
  }
}
