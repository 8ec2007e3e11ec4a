# AWS draws the passwords, Terraform writes them through write-only arguments: they are in no state and in no plan.
# Each password stands in one secret only, so that an apply that broke off cannot leave two that differ.
locals {
  host      = "${var.database_address}:5432"
  roles     = toset(["airflow", "mlflow", "churn_pipeline", "churn_api", "crm_reader", "grafana_reader"])
  key_names = toset(["fernet", "jwt", "session", "page", "airflow_login", "grafana_login"])
  password  = { for role in local.roles : role => try(ephemeral.aws_secretsmanager_random_password.role[role].random_password, "") }
  drawn     = { for name in local.key_names : name => try(ephemeral.aws_secretsmanager_random_password.key[name].random_password, "") }

  airflow_at = "airflow:${local.password.airflow}@${local.host}/airflow"

  # What a consumer reads. The names of keys are those that ECS takes out of the secret.
  values = {
    # Airflow reads its Connections here by itself (prefix <name>/connections), as role churn_pipeline.
    "connections/churn_db" = {
      conn_type = "postgres", host = var.database_address, port = 5432, schema = "churn"
      login     = "churn_pipeline", password = local.password.churn_pipeline, extra = { sslmode = "require" }
    }

    "database/airflow" = {
      password       = local.password.airflow
      url            = "postgresql+psycopg2://${local.airflow_at}?sslmode=require"
      async_url      = "postgresql+asyncpg://${local.airflow_at}?ssl=require"
      result_backend = "db+postgresql+psycopg2://${local.airflow_at}?sslmode=require"
    }
    "database/mlflow" = {
      password = local.password.mlflow
      url      = "postgresql://mlflow:${local.password.mlflow}@${local.host}/mlflow?sslmode=require"
    }
    "database/churn_api" = {
      password = local.password.churn_api
      url      = "postgresql://churn_api:${local.password.churn_api}@${local.host}/churn?sslmode=require"
    }
    "database/crm_reader"     = { password = local.password.crm_reader }
    "database/grafana_reader" = { password = local.password.grafana_reader }

    # Never renewed by password_version: what the Fernet key has encrypted must stay readable.
    "airflow" = {
      fernet_key = replace(replace(base64encode(local.drawn.fernet), "+", "-"), "/", "_") # 32 bytes, URL-safe
      jwt        = local.drawn.jwt
      session    = local.drawn.session
      admin      = local.drawn.airflow_login
    }
    "api"     = { session = local.drawn.page }
    "grafana" = { password = local.drawn.grafana_login }

    # Written by a person after the first apply (docs/aws.md); Terraform never writes it again.
    "given" = { notify_urls = "", alert_webhook_url = "" }
  }
  # Names and versions hold nothing secret; only with the values apart may they drive for_each.
  versions = {
    for name in [
      "connections/churn_db", "database/airflow", "database/mlflow", "database/churn_api", "database/crm_reader", "database/grafana_reader",
    ] : name => var.password_version
  }
  names = toset(concat(keys(local.versions), ["airflow", "api", "grafana", "given"]))
}

ephemeral "aws_secretsmanager_random_password" "role" {
  provider = aws.passwords
  for_each = var.write_values ? local.roles : []

  password_length     = 40
  exclude_punctuation = true # it stands in addresses
}

ephemeral "aws_secretsmanager_random_password" "key" {
  provider = aws.passwords
  for_each = var.write_values ? local.key_names : []

  password_length     = each.key == "fernet" ? 32 : 64
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret" "this" {
  for_each = local.names

  #checkov:skip=CKV2_AWS_57:passwords are renewed by password_version and the deploy that sets them; the master's, RDS rotates
  name                    = "${var.name}/${each.key}"
  kms_key_id              = var.key_arn
  recovery_window_in_days = var.production ? 30 : 0
}

resource "aws_secretsmanager_secret_version" "this" {
  for_each = var.write_values ? local.names : []

  secret_id                = aws_secretsmanager_secret.this[each.key].id
  secret_string_wo         = jsonencode(local.values[each.key])
  secret_string_wo_version = lookup(local.versions, each.key, 1)
}
