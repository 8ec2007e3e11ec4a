output "arns" {
  description = "ARN of the key of each class: data, secrets, logs."
  value       = { for name, key in aws_kms_key.this : name => key.arn }
}
