# One key for each class of data: whoever may read a password may not thereby read customers, and the other way round.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  root = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"

  # Services that use a key on their own account, not on behalf of a role of ours.
  keys = {
    data    = { holds = "customers: RDS, landing, artifacts, reports", services = [] }
    secrets = { holds = "passwords and connections", services = [] }
    logs    = { holds = "log groups and notices", services = ["logs.${data.aws_region.current.name}.amazonaws.com", "cloudwatch.amazonaws.com"] }
  }
}

data "aws_iam_policy_document" "key" {
  for_each = local.keys

  #checkov:skip=CKV_AWS_109:a key policy that names the account hands the decision to IAM policies; without it nobody could
  #checkov:skip=CKV_AWS_111:as above
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

  dynamic "statement" {
    for_each = length(each.value.services) > 0 ? [each.value.services] : []
    content {
      sid       = "ServicesThatWriteHere"
      actions   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
      resources = ["*"]
      principals {
        type        = "Service"
        identifiers = statement.value
      }
      condition {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [data.aws_caller_identity.current.account_id]
      }
    }
  }
}

resource "aws_kms_key" "this" {
  for_each = local.keys

  description             = "${var.name}: ${each.value.holds}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key[each.key].json
}

resource "aws_kms_alias" "this" {
  for_each = local.keys

  name          = "alias/${var.name}-${each.key}"
  target_key_id = aws_kms_key.this[each.key].key_id
}
