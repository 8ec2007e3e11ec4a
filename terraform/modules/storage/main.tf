# Four buckets, closed in the same way; they differ in how long things stay.
data "aws_caller_identity" "current" {}

locals {
  # infrequent: days until cheaper storage; expire: days until the current version goes; old: days that a replaced or
  # deleted version can still be brought back.
  buckets = {
    landing   = { infrequent = 30, expire = 400, old = 30 }  # a score is explained for a year, from the file if need be
    artifacts = { infrequent = 90, expire = null, old = 90 } # a model version is never taken away by age
    reports   = { infrequent = 30, expire = 400, old = 30 }
    logs      = { infrequent = 30, expire = 180, old = 7 }
  }
  # Load balancer and S3 deliver their logs only to buckets under S3's own key.
  under_our_key = toset(["landing", "artifacts", "reports"])
}

resource "aws_s3_bucket" "this" {
  for_each = local.buckets

  #checkov:skip=CKV_AWS_144:one region; a copy in another is a decision about where customers' data may lie
  #checkov:skip=CKV2_AWS_62:Airflow looks for extracts at its hour (CHURN_WATCH_LANDING for at once); nothing listens to events
  #checkov:skip=CKV_AWS_145:logs only: ALB and S3 cannot deliver under a customer key; the three with data are under ours
  #checkov:skip=CKV_AWS_18:logs only: a log of the log bucket would log itself; the three with data have one
  bucket        = "${var.name}-${each.key}-${data.aws_caller_identity.current.account_id}"
  force_destroy = !var.production
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.buckets

  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id
  rule {
    bucket_key_enabled = contains(local.under_our_key, each.key)
    apply_server_side_encryption_by_default {
      sse_algorithm     = contains(local.under_our_key, each.key) ? "aws:kms" : "AES256"
      kms_master_key_id = contains(local.under_our_key, each.key) ? var.data_key_arn : null
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.buckets

  bucket     = aws_s3_bucket.this[each.key].id
  depends_on = [aws_s3_bucket_versioning.this]

  rule {
    id     = "age"
    status = "Enabled"
    filter {}

    transition {
      days          = each.value.infrequent
      storage_class = "STANDARD_IA"
    }
    dynamic "expiration" {
      for_each = each.value.expire == null ? [] : [each.value.expire]
      content {
        days = expiration.value
      }
    }
    noncurrent_version_expiration {
      noncurrent_days = each.value.old
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_logging" "this" {
  for_each = local.under_our_key

  bucket        = aws_s3_bucket.this[each.key].id
  target_bucket = aws_s3_bucket.this["logs"].id
  target_prefix = "s3/${each.key}/"
  depends_on    = [aws_s3_bucket_policy.this] # without its permission S3 refuses the target
}
