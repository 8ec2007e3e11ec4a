output "name" {
  description = "Name of the service."
  value       = var.service_name
}

output "security_group_id" {
  description = "Group of its tasks."
  value       = aws_security_group.this.id
}

output "task_definition_arn" {
  description = "The revision that the deploy starts."
  value       = aws_ecs_task_definition.this.arn
}

output "log_group" {
  description = "What its processes print."
  value       = aws_cloudwatch_log_group.this.name
}

output "public_ip" {
  description = "Whether a task would get a public address."
  value       = anytrue([for service in aws_ecs_service.this : service.network_configuration[0].assign_public_ip])
}
