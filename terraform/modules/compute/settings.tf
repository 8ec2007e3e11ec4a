# The settings of each process, by the names that the code and Airflow know. Local, compose, staging and production
# differ in these only.
locals {
  inside     = "${var.name}.internal"
  mlflow_url = "http://mlflow.${local.inside}:5000"
  api_url    = "https://api.${var.domain}"

  everywhere = {
    CHURN_ENVIRONMENT        = var.production ? "production" : "staging" # weak and default secrets stop every process
    AWS_DEFAULT_REGION       = local.region
    DO_NOT_TRACK             = "true"
    GX_ANALYTICS_ENABLED     = "false"
    SCARF_ANALYTICS          = "false"
    MLFLOW_DISABLE_TELEMETRY = "true"
    OMP_NUM_THREADS          = "1" # a part of the base a task; more threads only get in each other's way
    MLFLOW_TRACKING_URI      = local.mlflow_url
  }

  # What every process of Airflow is told wherever there are several machines, with the reason for each value.
  distributed_lines = [
    for line in split("\n", file("${path.module}/../../../include/churn_airflow/distributed.env")) :
    regex("^([A-Z_]+)=(.*)$", line) if can(regex("^[A-Z]", line))
  ]
  distributed = { for line in local.distributed_lines : line[0] => line[1] }

  airflow = merge(local.distributed, local.everywhere, {
    CHURN_LANDING_URL        = "s3://${var.buckets.landing}/extracts"
    CHURN_REPORTS_URL        = "s3://${var.buckets.reports}/reports"
    CHURN_LANDING_CONNECTION = "aws_default"
    CHURN_AIRFLOW_URL        = "https://airflow.${var.domain}"
    CHURN_API_URL            = local.api_url

    AIRFLOW__CORE__EXECUTION_API_SERVER_URL           = "http://airflow.${local.inside}:8080/execution/"
    AIRFLOW__API__BASE_URL                            = "https://airflow.${var.domain}"
    AIRFLOW__API__WORKERS                             = "1"
    AIRFLOW__API_AUTH__JWT_ISSUER                     = var.name
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS          = "admin:admin"
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE = "/var/lib/churn/airflow/passwords.json"

    # Few connections a process: all of them together stay far below what the smallest RDS instance allows.
    AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW = "5"

    # SQS knows no broadcast, so there is no remote control; the queue exists, so none has to be listed or made.
    AIRFLOW__OPERATORS__DEFAULT_QUEUE                            = "default"
    AIRFLOW__CELERY__BROKER_URL                                  = "sqs://"
    AIRFLOW__CELERY__WORKER_ENABLE_REMOTE_CONTROL                = "False"
    AIRFLOW__CELERY__WORKER_CONCURRENCY                          = tostring(local.worker_tasks)
    AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__REGION             = local.region
    AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT = tostring(var.queue.longest_task_seconds)
    AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__PREDEFINED_QUEUES  = jsonencode({ default = { url = var.queue.url, region = local.region } })

    AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER = "s3://${var.buckets.logs}/airflow"

    AIRFLOW__SECRETS__BACKEND = "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"
    AIRFLOW__SECRETS__BACKEND_KWARGS = jsonencode({
      connections_prefix = var.connections_prefix, variables_prefix = null, config_prefix = null
    })
  })

  airflow_secrets = {
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN       = { arn = var.secret_arns["database/airflow"], key = "url" }
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC = { arn = var.secret_arns["database/airflow"], key = "async_url" }
    AIRFLOW__CELERY__RESULT_BACKEND           = { arn = var.secret_arns["database/airflow"], key = "result_backend" }
    AIRFLOW__CORE__FERNET_KEY                 = { arn = var.secret_arns["airflow"], key = "fernet_key" }
    AIRFLOW__API_AUTH__JWT_SECRET             = { arn = var.secret_arns["airflow"], key = "jwt" }
    AIRFLOW__API__SECRET_KEY                  = { arn = var.secret_arns["airflow"], key = "session" }
  }
  # Only who runs tasks or DAG callbacks sends notices.
  job_secrets = merge(local.airflow_secrets, { CHURN_NOTIFY_URLS = { arn = var.secret_arns["given"], key = "notify_urls" } })

  mlflow = merge(local.everywhere, {
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION  = "false"
    MLFLOW_SERVE_ARTIFACTS              = "true"
    MLFLOW_ARTIFACTS_DESTINATION        = "s3://${var.buckets.artifacts}/mlflow"
    MLFLOW_SERVER_ALLOWED_HOSTS         = "mlflow.${local.inside}:5000,mlflow.${var.domain}"
    MLFLOW_SQLALCHEMYSTORE_POOL_SIZE    = "5"
    MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW = "5"
  })

  api = merge(local.everywhere, {
    CHURN_API_BIND    = "0.0.0.0:8000" # callers need a key; only the load balancer reaches the port
    CHURN_API_WORKERS = tostring(local.api_workers)
    CHURN_API_URL     = local.api_url
  })

  grafana = {
    GF_SERVER_ROOT_URL                    = "https://grafana.${var.domain}"
    GF_ANALYTICS_REPORTING_ENABLED        = "false"
    GF_ANALYTICS_CHECK_FOR_UPDATES        = "false"
    GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES = "false"
    GF_NEWS_NEWS_FEED_ENABLED             = "false"
    GF_PLUGINS_PREINSTALL_DISABLED        = "true"
    GF_AUTH_ANONYMOUS_ENABLED             = "false"
    GF_USERS_ALLOW_SIGN_UP                = "false"
    GRAFANA_DB_HOST                       = var.database.address
    GRAFANA_DB_PORT                       = "5432"
    GRAFANA_DB_NAME                       = "churn"
    GRAFANA_DB_USER                       = "grafana_reader"
    GRAFANA_DB_SSLMODE                    = "require"
    GRAFANA_ALERT_EMAIL                   = var.alarm_email
    GRAFANA_RUNBOOK_URL                   = var.runbook_url
  }
}
