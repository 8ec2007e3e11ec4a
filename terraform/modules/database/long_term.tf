# A score has to be explained a year later. RDS keeps 35 days at most, so production keeps a copy of each month for 13.
resource "aws_backup_vault" "this" {
  count = var.production ? 1 : 0

  name        = var.name
  kms_key_arn = var.data_key_arn
}

resource "aws_backup_plan" "this" {
  count = var.production ? 1 : 0

  name = var.name
  rule {
    rule_name         = "monthly"
    target_vault_name = aws_backup_vault.this[0].name
    schedule          = "cron(0 12 1 * ? *)" # noon UTC of the first day, when nothing is scored
    start_window      = 60                   # minutes
    completion_window = 480
    lifecycle {
      delete_after = 400 # days
    }
  }
}

data "aws_iam_policy_document" "backup_assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["backup.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "backup" {
  count = var.production ? 1 : 0

  name               = "${var.name}-backup"
  assume_role_policy = data.aws_iam_policy_document.backup_assume.json
}

resource "aws_iam_role_policy_attachment" "backup" {
  for_each = var.production ? toset(["AWSBackupServiceRolePolicyForBackup", "AWSBackupServiceRolePolicyForRestores"]) : []

  role       = aws_iam_role.backup[0].name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/${each.key}"
}

resource "aws_backup_selection" "this" {
  count = var.production ? 1 : 0

  name         = "database"
  plan_id      = aws_backup_plan.this[0].id
  iam_role_arn = aws_iam_role.backup[0].arn
  resources    = [aws_db_instance.this.arn]
}
