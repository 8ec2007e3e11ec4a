output "topic_arn" {
  description = "Topic that carries the alarms; subscribe a pager here."
  value       = aws_sns_topic.this.arn
}

output "names" {
  description = "Alarms of the environment."
  value       = [for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name]
}
