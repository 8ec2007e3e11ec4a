variable "name" {
  description = "Prefix of every name, for example churn-staging."
  type        = string
}

variable "emails" {
  description = "Who is told; each address confirms once."
  type        = list(string)
}

variable "logs_key_arn" {
  description = "KMS key of the topic."
  type        = string
}

variable "database" {
  description = "Identifier of the instance and its storage at the start, in GB."
  type        = object({ identifier = string, storage_gb = number })
}

variable "load_balancer" {
  description = "The names that CloudWatch gives the load balancer and the endpoint's targets."
  type        = object({ load_balancer = string, api = string })
}

variable "queue" {
  description = "Names of Celery's queue and of the queue of refused messages."
  type        = object({ tasks = string, refused = string })
}

variable "cluster_name" {
  description = "The ECS cluster."
  type        = string
}

variable "services" {
  description = "How many tasks of each service have to run at least."
  type        = map(number)
}
