# One key for each class of data: whoever may read a password may not thereby read customers, and the other way round.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  root = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"

  keys = {
    data    = "customers: RDS, landing, artifacts, reports"
    secrets = "passwords and connections"
    logs    = "log groups and notices"
  }
  log_groups = "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:*"
}

data "aws_iam_policy_document" "key" {
  for_each = local.keys

  #checkov:skip=CKV_AWS_109:a key policy that names the account hands the decision to IAM policies; without it nobody could
  #checkov:skip=CKV_AWS_111:as for the one above, IAM policies bound what is written
  #checkov:skip=CKV_AWS_356:in a key's own policy "*" is this key
  statement {
    sid       = "IamPoliciesOfThisAccountDecide"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = [local.root]
    }
  }

  # CloudWatch encrypts log groups, and alarms on their way to people, on its own account.
  dynamic "statement" {
    for_each = each.key == "logs" ? [1] : []
    content {
      sid       = "LogGroupsOfThisAccount"
      actions   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
      resources = ["*"]
      principals {
        type        = "Service"
        identifiers = ["logs.${data.aws_region.current.name}.amazonaws.com"]
      }
      condition {
        test     = "ArnLike"
        variable = "kms:EncryptionContext:aws:logs:arn"
        values   = [local.log_groups]
      }
    }
  }

  dynamic "statement" {
    for_each = each.key == "logs" ? [1] : []
    content {
      sid       = "Alarms"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey*"]
      resources = ["*"]
      principals {
        type        = "Service"
        identifiers = ["cloudwatch.amazonaws.com"]
      }
    }
  }

  # A bucket policy alone lets nobody write under this key.
  dynamic "statement" {
    for_each = each.key == "data" && length(var.landing_writer_arns) > 0 ? [1] : []
    content {
      sid       = "ExtractsAreDelivered"
      actions   = ["kms:GenerateDataKey", "kms:Decrypt"] # a large file comes in parts, which S3 reads again
      resources = ["*"]
      principals {
        type        = "AWS"
        identifiers = var.landing_writer_arns
      }
      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${data.aws_region.current.name}.amazonaws.com"]
      }
    }
  }
}

resource "aws_kms_key" "this" {
  for_each = local.keys

  description             = "${var.name}: ${each.value}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key[each.key].json
}

resource "aws_kms_alias" "this" {
  for_each = local.keys

  name          = "alias/${var.name}-${each.key}"
  target_key_id = aws_kms_key.this[each.key].key_id
}
