# One PostgreSQL server with three databases: churn, airflow, mlflow. `churn` is made here, the migration task makes the
# other two and every role.
locals {
  major = "18" # what the tests of the repository run on

  # Days that RDS can restore to any second of; staging proves the restore, production needs it.
  backup_days = var.production ? 30 : 7
}

resource "aws_db_subnet_group" "this" {
  name        = var.name
  description = "Subnets without a way out"
  subnet_ids  = var.subnet_ids
}

# Who may come in is added by the compute module, one rule a service that needs it; nobody else, and nothing goes out.
resource "aws_security_group" "this" {
  #checkov:skip=CKV2_AWS_5:attached to the instance below
  name        = "${var.name}-database"
  description = "PostgreSQL: reached by the services that need it"
  vpc_id      = var.vpc_id
}

resource "aws_cloudwatch_log_group" "server" {
  for_each = toset(["postgresql", "upgrade"])

  #checkov:skip=CKV_AWS_338:a server log older than a quarter answers no question that the audit tables do not
  name              = "/aws/rds/instance/${var.name}/${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.logs_key_arn
}

resource "aws_db_instance" "this" {
  identifier     = var.name
  engine         = "postgres"
  engine_version = local.major # the minor version is kept new by RDS
  instance_class = var.instance_class
  db_name        = "churn"

  # The password is made, kept and rotated by RDS: it is in no state, no plan and no tfvars.
  username                            = "postgres"
  manage_master_user_password         = true
  master_user_secret_kms_key_id       = var.secrets_key_arn
  iam_database_authentication_enabled = true

  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = var.data_key_arn
  allocated_storage     = var.storage_gb
  max_allocated_storage = var.storage_gb * 4

  multi_az               = var.production
  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.this.id]
  publicly_accessible    = false
  ca_cert_identifier     = "rds-ca-rsa2048-g1"
  parameter_group_name   = aws_db_parameter_group.this.name

  # UTC. Validation, scoring and retraining run from midnight to six: backups and maintenance keep out of their way.
  backup_window              = "09:00-10:00"
  maintenance_window         = "sun:10:30-sun:11:30"
  auto_minor_version_upgrade = true
  apply_immediately          = !var.production

  backup_retention_period   = local.backup_days
  copy_tags_to_snapshot     = true
  deletion_protection       = var.production
  delete_automated_backups  = !var.production
  skip_final_snapshot       = !var.production
  final_snapshot_identifier = var.production ? "${var.name}-final" : null

  performance_insights_enabled          = true
  performance_insights_kms_key_id       = var.data_key_arn
  performance_insights_retention_period = 7
  monitoring_interval                   = 60 # seconds
  monitoring_role_arn                   = aws_iam_role.monitoring.arn
  enabled_cloudwatch_logs_exports       = keys(aws_cloudwatch_log_group.server)

  timeouts {
    create = "60m"
    update = "80m"
    delete = "60m"
  }

  #checkov:skip=CKV2_AWS_69:rds.force_ssl is 1 in parameters.tf, and terraform test holds it
  #checkov:skip=CKV_AWS_133:7 or 30 days by local.backup_days, and terraform test holds it
  #checkov:skip=CKV_AWS_157:Multi-AZ is on in production; staging may wait for a restore
  #checkov:skip=CKV_AWS_293:deletion protection is on in production; staging can be destroyed by its owners
}

data "aws_iam_policy_document" "monitoring_assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["monitoring.rds.amazonaws.com"]
    }
  }
}

data "aws_partition" "current" {}

resource "aws_iam_role" "monitoring" {
  name               = "${var.name}-rds-monitoring"
  assume_role_policy = data.aws_iam_policy_document.monitoring_assume.json
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}
