output "buckets" {
  description = "Name of each bucket: landing, artifacts, reports, logs."
  value       = { for name, bucket in aws_s3_bucket.this : name => bucket.bucket }
  depends_on  = [aws_s3_bucket_policy.this]
}

output "arns" {
  description = "ARN of each bucket."
  value       = { for name, bucket in aws_s3_bucket.this : name => bucket.arn }
}

output "protections" {
  description = "What protects the buckets, read from the resources themselves."
  value = {
    versioned = alltrue([for item in aws_s3_bucket_versioning.this : item.versioning_configuration[0].status == "Enabled"])
    private = alltrue([
      for block in aws_s3_bucket_public_access_block.this :
      block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets
    ])
    destroyed_when_full = anytrue([for bucket in aws_s3_bucket.this : bucket.force_destroy])
  }
}
