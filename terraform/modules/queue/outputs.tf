output "url" {
  description = "Address of the queue."
  value       = aws_sqs_queue.tasks.url
}

output "arn" {
  description = "ARN of the queue."
  value       = aws_sqs_queue.tasks.arn
}

output "name" {
  description = "Name of the queue, for its metrics."
  value       = aws_sqs_queue.tasks.name
}

output "refused_name" {
  description = "Name of the queue of refused messages."
  value       = aws_sqs_queue.refused.name
}

output "refused_url" {
  description = "Address of the queue of refused messages."
  value       = aws_sqs_queue.refused.url
}
