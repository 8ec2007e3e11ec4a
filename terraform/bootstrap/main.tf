# Once an account, before the first deploy: the bucket of the state, and the repositories of the images, which staging and
# production share where they share an account. Its own state is local at first; docs/aws.md moves it into the bucket.
terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

variable "region" {
  description = "AWS region of the state and of the images."
  type        = string
  default     = "eu-central-1"
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is the name of an AWS region, for example eu-central-1."
  }
}

provider "aws" {
  region      = var.region
  max_retries = 10

  default_tags {
    tags = { project = "churn", managed_by = "terraform" }
  }
}

data "aws_caller_identity" "current" {}

module "keys" {
  source = "../modules/keys"

  name = "churn-bootstrap"
}

resource "aws_s3_bucket" "state" {
  #checkov:skip=CKV_AWS_144:a lost state is imported again; it holds no secret
  #checkov:skip=CKV_AWS_18:who changed the state is in CloudTrail
  #checkov:skip=CKV2_AWS_62:nothing listens to it
  bucket = "churn-terraform-state-${data.aws_caller_identity.current.account_id}"

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = module.keys.arns.data
    }
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket                  = aws_s3_bucket.state.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "state" {
  bucket     = aws_s3_bucket.state.id
  depends_on = [aws_s3_bucket_versioning.state]

  rule {
    id     = "old-states"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = 365
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

data "aws_iam_policy_document" "state" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.state.arn, "${aws_s3_bucket.state.arn}/*"]
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
}

resource "aws_s3_bucket_policy" "state" {
  bucket = aws_s3_bucket.state.id
  policy = data.aws_iam_policy_document.state.json
}

resource "aws_ecr_repository" "this" {
  for_each = toset(["airflow", "mlflow", "api", "grafana"])

  name                 = "churn/${each.key}"
  image_tag_mutability = "IMMUTABLE" # a tag is a commit; it never means anything else

  image_scanning_configuration {
    scan_on_push = true
  }
  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = module.keys.arns.data
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each = aws_ecr_repository.this

  repository = each.value.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Thirty releases can be gone back to"
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 30 }
      action       = { type = "expire" }
    }]
  })
}

output "state_bucket" {
  description = "Goes into <environment>.backend.hcl."
  value       = aws_s3_bucket.state.bucket
}

output "image_registry" {
  description = "Goes into <environment>.tfvars."
  value       = trimsuffix(aws_ecr_repository.this["airflow"].repository_url, "/airflow")
}
