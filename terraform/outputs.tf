# What the deploy and the runbook (docs/aws.md) use.

output "addresses" {
  description = "Where people and programs find the endpoint, Airflow, MLflow and Grafana."
  value = merge(
    { api = module.page.url },
    { for name, service in local.behind_load_balancer : name => "https://${name}.${var.domain}" if service.operator },
  )
}

output "api_url" {
  description = "The endpoint; the deploy's smoke test asks it."
  value       = module.page.url
}

output "buckets" {
  description = "Name of each bucket: landing, artifacts, reports, logs."
  value       = module.storage.buckets
}

output "cluster" {
  description = "The ECS cluster."
  value       = module.compute.cluster_name
}

output "rollout" {
  description = "One line a service for the deploy: name, task definition, tasks at least."
  value       = join("\n", [for name, service in module.compute.services : "${name} ${service.task_definition} ${service.count}"])
}

output "migration" {
  description = "The one-off task as `aws ecs run-task --cli-input-json` takes it."
  value       = jsonencode(module.compute.migration)
}

output "log_groups" {
  description = "What the processes print, by service."
  value       = module.compute.log_groups
}

output "database" {
  description = "Identifier and host name of the server, and the secret of its master password."
  value = {
    identifier        = module.database.identifier
    address           = module.database.address
    master_secret_arn = module.database.master_secret_arn
  }
}

output "secret_arns" {
  description = "ARN of each secret by its name without the prefix."
  value       = module.secrets.arns
}

output "refused_tasks_url" {
  description = "Queue of the messages that were given out five times and never ended."
  value       = module.queue.refused_url
}

output "alarm_topic_arn" {
  description = "Topic of the alarms; subscribe a pager here."
  value       = module.alarms.topic_arn
}

output "protections" {
  description = "What protects the environment, read from the resources themselves; the tests hold it."
  value = {
    database     = module.database.protections
    storage      = module.storage.protections
    tls_policy   = module.load_balancer.tls_policy
    plain_http   = module.load_balancer.plain_http_answer
    public_tasks = module.compute.public_tasks
    tasks        = { for name, service in module.compute.services : name => service.count }
    nat_gateways = module.network.nat_gateway_count
    alarms       = module.alarms.names
  }
}

output "image_tag" {
  description = "The release that was applied last."
  value       = var.image_tag
}
