output "security_group_id" {
  description = "Group of the load balancer; a task lets it in."
  value       = aws_security_group.this.id
}

output "target_group_arns" {
  description = "Where each service registers its tasks."
  value       = { for name, group in aws_lb_target_group.this : name => group.arn }
  depends_on  = [aws_lb_listener_rule.this] # ECS refuses a target group that no load balancer uses
}

output "origin" {
  description = "Name under which CloudFront finds the load balancer."
  value       = aws_route53_record.this["origin"].fqdn
}

output "metric_names" {
  description = "The names that CloudWatch gives the load balancer and the endpoint's targets."
  value = {
    load_balancer = aws_lb.this.arn_suffix
    api           = aws_lb_target_group.this["api"].arn_suffix
  }
}

output "tls_policy" {
  description = "What the load balancer speaks, read from the listener itself."
  value       = aws_lb_listener.https.ssl_policy
}

output "plain_http_answer" {
  description = "What port 80 does."
  value       = aws_lb_listener.http.default_action[0].type
}
