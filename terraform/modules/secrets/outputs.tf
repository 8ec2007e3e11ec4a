output "arns" {
  description = "ARN of each secret by its name without the prefix."
  value       = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }
  depends_on  = [aws_secretsmanager_secret_version.this]
}

output "connections_prefix" {
  description = "Where Airflow's secrets backend finds Connections."
  value       = "${var.name}/connections"
}
