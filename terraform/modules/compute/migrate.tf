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
  command = ["bash", "-ec", join("\n", concat(
    [for database in ["airflow", "mlflow"] : "churn db create-owned ${database} --from-env ${upper(database)}_PASSWORD"],
    ["churn db migrate"],
    [
      for role in ["churn_pipeline", "churn_api", "crm_reader", "grafana_reader"] :
      "churn db set-password ${role} --from-env ${upper(role)}_PASSWORD"
    ],
    ["airflow db migrate", "mlflow db upgrade \"$MLFLOW_BACKEND_STORE_URI\""],
  ))]
  environment = merge(local.everywhere, {
    PGSSLMODE                = "require"
    CHURN_ADMIN_DATABASE_URL = "postgresql://${var.database.address}:5432/churn"
  })
  secrets = merge(local.airflow_secrets, {
    PGUSER                   = { arn = var.database.master_secret_arn, key = "username" }
    PGPASSWORD               = { arn = var.database.master_secret_arn, key = "password" }
    AIRFLOW_PASSWORD         = { arn = var.secret_arns["database/airflow"], key = "password" }
    MLFLOW_PASSWORD          = { arn = var.secret_arns["database/mlflow"], key = "password" }
    MLFLOW_BACKEND_STORE_URI = { arn = var.secret_arns["database/mlflow"], key = "url" }
    CHURN_PIPELINE_PASSWORD  = { arn = var.secret_arns["connections/churn_db"], key = "password" }
    CHURN_API_PASSWORD       = { arn = var.secret_arns["database/churn_api"], key = "password" }
    CRM_READER_PASSWORD      = { arn = var.secret_arns["database/crm_reader"], key = "password" }
    GRAFANA_READER_PASSWORD  = { arn = var.secret_arns["database/grafana_reader"], key = "password" }
  })
}
