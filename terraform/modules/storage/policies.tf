data "aws_partition" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id

  # Who writes where in the log bucket, besides our own tasks.
  log_deliveries = merge(
    { alb = { service = "logdelivery.elasticloadbalancing.amazonaws.com", source = "elasticloadbalancing:*:${local.account}:loadbalancer/*" } },
    { for name in local.under_our_key : "s3/${name}" => { service = "logging.s3.amazonaws.com", source = "s3:::${var.name}-${name}-*" } },
  )
}

data "aws_iam_policy_document" "bucket" {
  for_each = local.buckets

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.this[each.key].arn, "${aws_s3_bucket.this[each.key].arn}/*"]
    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  dynamic "statement" {
    for_each = each.key == "landing" && length(var.landing_writer_arns) > 0 ? [1] : []
    content {
      sid       = "ExtractsAreDelivered"
      actions   = ["s3:PutObject"]
      resources = ["${aws_s3_bucket.this["landing"].arn}/extracts/*"]
      principals {
        type        = "AWS"
        identifiers = var.landing_writer_arns
      }
    }
  }

  dynamic "statement" {
    for_each = each.key == "logs" ? local.log_deliveries : {}
    content {
      sid       = "LogsAreDelivered${title(replace(statement.key, "/", ""))}"
      actions   = ["s3:PutObject"]
      resources = ["${aws_s3_bucket.this["logs"].arn}/${statement.key}/*"]
      principals {
        type        = "Service"
        identifiers = [statement.value.service]
      }
      condition {
        test     = "ArnLike"
        variable = "aws:SourceArn"
        values   = ["arn:${data.aws_partition.current.partition}:${statement.value.source}"]
      }
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.buckets

  bucket     = aws_s3_bucket.this[each.key].id
  policy     = data.aws_iam_policy_document.bucket[each.key].json
  depends_on = [aws_s3_bucket_public_access_block.this]
}
