output "url" {
  description = "Where people and programs find the page and the endpoint."
  value       = "https://${local.host}"
}

output "distribution_id" {
  description = "The distribution, for its metrics."
  value       = aws_cloudfront_distribution.this.id
}
