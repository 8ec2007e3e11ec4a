# The one-off task that the deploy runs before it starts new code: databases, roles, passwords and schemas. It is the
# only one that holds the master password. Safe to run again.
module "migrate" {
  source = "../service"

  runs         = false
  cluster      = local.shared
  service_name = "migrate"
  image        = local.images.airflow
  size         = { cpu = 512, memory = 2048 }
  reaches      = {}
  command      = ["python", "-m", "churn.containers.initialise", "databases"]
  environment = merge(local.everywhere, {
    POSTGRES_HOST = var.database.address
    PGSSLMODE     = "require"
    # For `churn` commands that a person runs in this task, as role churn_pipeline; its password is PGPASSWORD.
    CHURN_DATABASE_URL = "postgresql://churn_pipeline@${var.database.address}:5432/churn"
  })
  secrets = merge(local.airflow_secrets, {
    POSTGRES_PASSWORD         = { arn = var.database.master_secret_arn, key = "password" }
    AIRFLOW_DATABASE_PASSWORD = { arn = var.secret_arns["database/airflow"], key = "password" }
    MLFLOW_DATABASE_PASSWORD  = { arn = var.secret_arns["database/mlflow"], key = "password" }
    MLFLOW_BACKEND_STORE_URI  = { arn = var.secret_arns["database/mlflow"], key = "url" }
    PGPASSWORD                = { arn = var.secret_arns["connections/churn_db"], key = "password" }
    CHURN_PIPELINE_PASSWORD   = { arn = var.secret_arns["connections/churn_db"], key = "password" }
    CHURN_API_PASSWORD        = { arn = var.secret_arns["database/churn_api"], key = "password" }
    CRM_READER_PASSWORD       = { arn = var.secret_arns["database/crm_reader"], key = "password" }
    GRAFANA_READER_PASSWORD   = { arn = var.secret_arns["database/grafana_reader"], key = "password" }
  })
}
