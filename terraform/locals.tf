locals {
  name       = "churn-${var.environment}"
  production = var.environment == "production"

  zone_count         = local.production ? 3 : 2 # a load balancer wants two; production survives one with two left
  log_retention_days = local.production ? 90 : 14

  # A training may take hours. SQS would give its message to a second worker after this; Airflow's tasks are safe under
  # that, but it is wasted work.
  longest_task_seconds = 21600

  # The way from the load balancer to each service.
  behind_load_balancer = {
    api     = { port = 8000, health = "/health", operator = false }
    airflow = { port = 8080, health = "/api/v2/monitor/health", operator = true }
    mlflow  = { port = 5000, health = "/health", operator = true }
    grafana = { port = 3000, health = "/api/health", operator = true }
  }

  tags = {
    project     = "churn"
    environment = var.environment
    managed_by  = "terraform"
  }
}
