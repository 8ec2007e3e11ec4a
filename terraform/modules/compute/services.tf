# What runs. Sizes: measured idle memory of the processes, and room for a part of a night or a training.
locals {
  twice        = var.production ? 2 : 1
  worker_tasks = var.production ? 4 : 2 # tasks at once a worker; a task of the night holds about 0.5 GB
  api_workers  = var.production ? 4 : 2 # processes, each with a model of its own

  # count: tasks that the deploy starts. What people or callers wait for runs twice in production.
  services = {
    airflow = {
      image       = "airflow"
      command     = ["airflow", "api-server", "--host", "0.0.0.0", "--port", "8080"]
      size        = { cpu = 512, memory = 2048 }
      count       = local.twice
      port        = 8080
      public      = true
      internet    = false
      environment = local.airflow
      secrets     = merge(local.airflow_secrets, { AIRFLOW_ADMIN_PASSWORD = { arn = var.secret_arns["airflow"], key = "admin" } })
      callers     = ["airflow-worker"]
    }
    airflow-scheduler = {
      image       = "airflow", command = ["airflow", "scheduler", "--skip-serve-logs"], size = { cpu = 512, memory = 2048 }
      count       = local.twice, port = null, public = false, internet = false
      environment = local.airflow, secrets = local.airflow_secrets, callers = []
    }
    airflow-dag-processor = {
      image       = "airflow", command = ["airflow", "dag-processor"], size = { cpu = 512, memory = 2048 }
      count       = 1, port = null, public = false, internet = true
      environment = local.airflow, secrets = local.job_secrets, callers = []
    }
    airflow-triggerer = {
      image       = "airflow", command = ["airflow", "triggerer", "--skip-serve-logs"], size = { cpu = 512, memory = 2048 }
      count       = 1, port = null, public = false, internet = true
      environment = local.airflow, secrets = local.job_secrets, callers = []
    }
    airflow-worker = {
      image       = "airflow", command = ["airflow", "celery", "worker", "--skip-serve-logs"]
      size        = var.production ? { cpu = 4096, memory = 8192, disk = 50 } : { cpu = 2048, memory = 4096, disk = 21 }
      count       = var.worker_count.min, port = null, public = false, internet = true
      environment = local.airflow, secrets = local.job_secrets, callers = []
    }
    mlflow = {
      image       = "mlflow", command = ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1"]
      size        = { cpu = 512, memory = 2048 }
      count       = local.twice, port = 5000, public = true, internet = false
      environment = local.mlflow
      secrets     = { MLFLOW_BACKEND_STORE_URI = { arn = var.secret_arns["database/mlflow"], key = "url" } }
      callers     = ["airflow-worker", "api"]
    }
    api = {
      image       = "api", command = ["gunicorn", "--config", "/opt/churn/api/gunicorn.conf.py"]
      size        = var.production ? { cpu = 2048, memory = 4096 } : { cpu = 512, memory = 2048 }
      count       = var.api_count.min, port = 8000, public = true, internet = false
      environment = local.api
      secrets = {
        CHURN_API_DATABASE_URL   = { arn = var.secret_arns["database/churn_api"], key = "url" }
        CHURN_API_SESSION_SECRET = { arn = var.secret_arns["api"], key = "session" }
      }
      callers = []
    }
    grafana = {
      image       = "grafana", command = []
      size        = { cpu = 256, memory = 512 }
      count       = 1, port = 3000, public = true, internet = true
      environment = local.grafana
      secrets = {
        GRAFANA_DB_PASSWORD        = { arn = var.secret_arns["database/grafana_reader"], key = "password" }
        GRAFANA_ALERT_WEBHOOK_URL  = { arn = var.secret_arns["given"], key = "alert_webhook_url" }
        GF_SECURITY_ADMIN_PASSWORD = { arn = var.secret_arns["grafana"], key = "password" }
      }
      callers = []
    }
  }
}

module "service" {
  source   = "../service"
  for_each = local.services

  cluster      = local.shared
  service_name = each.key
  image        = local.images[each.value.image]
  command      = each.value.command
  size         = each.value.size
  environment  = each.value.environment
  secrets      = each.value.secrets
  ingress = each.value.port == null ? null : {
    port               = each.value.port
    from_load_balancer = each.value.public
    target_group_arn   = each.value.public ? var.target_group_arns[each.key] : null
  }
  reaches          = { internet = each.value.internet && var.network.internet }
  has_permissions  = contains(keys(local.permissions), each.key)
  permissions_json = contains(keys(local.permissions), each.key) ? data.aws_iam_policy_document.run[each.key].json : null
  stop_seconds     = each.key == "airflow-worker" ? 120 : 30 # Fargate waits no longer; what is cut is given to another worker
}

# Who calls whom inside the network.
locals {
  calls = merge([
    for callee, service in local.services : {
      for caller in service.callers : "${caller} to ${callee}" => { caller = caller, callee = callee, port = service.port }
    }
  ]...)
}

resource "aws_vpc_security_group_egress_rule" "call" {
  for_each = local.calls

  security_group_id            = module.service[each.value.caller].security_group_id
  description                  = "To ${each.value.callee}"
  referenced_security_group_id = module.service[each.value.callee].security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_ingress_rule" "call" {
  for_each = local.calls

  security_group_id            = module.service[each.value.callee].security_group_id
  description                  = "From ${each.value.caller}"
  referenced_security_group_id = module.service[each.value.caller].security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}
