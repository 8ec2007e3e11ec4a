output "cluster_name" {
  description = "The cluster."
  value       = aws_ecs_cluster.this.name
}

output "services" {
  description = "What the deploy starts: each service's task definition and how many tasks."
  value = {
    for name, service in module.service :
    name => { task_definition = service.task_definition_arn, count = local.services[name].count }
  }
}

output "migration" {
  description = "The one-off task, as `aws ecs run-task --cli-input-json` takes it."
  value = {
    cluster        = aws_ecs_cluster.this.name
    taskDefinition = module.migrate.task_definition_arn
    launchType     = "FARGATE"
    networkConfiguration = {
      awsvpcConfiguration = {
        subnets        = var.network.subnet_ids
        securityGroups = [module.migrate.security_group_id]
        assignPublicIp = "DISABLED"
      }
    }
  }
}

output "log_groups" {
  description = "What the processes print, by service."
  value       = merge({ for name, service in module.service : name => service.log_group }, { migrate = module.migrate.log_group })
}

output "public_tasks" {
  description = "Services whose tasks would get a public address; there are none."
  value       = [for name, service in module.service : name if service.public_ip]
}
