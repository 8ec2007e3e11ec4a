variable "name" {
  description = "Prefix of every name, for example churn-staging."
  type        = string
}

variable "production" {
  description = "Decides sizes, and that nothing that people wait for runs once only."
  type        = bool
}

variable "domain" {
  description = "Names are below it: api, airflow, mlflow, grafana."
  type        = string
}

variable "network" {
  description = "Where tasks run and what they reach."
  type = object({
    vpc_id              = string
    subnet_ids          = list(string)
    endpoints_group_id  = string
    s3_prefix_list_id   = string
    database_group_id   = string
    load_balancer_group = string
    internet            = bool # there is a NAT
  })
}

variable "keys" {
  description = "KMS keys by class: data, secrets, logs."
  type        = map(string)
}

variable "log_retention_days" {
  description = "Days that the output of processes is kept."
  type        = number
}

variable "images" {
  description = "Registry with the repositories airflow, mlflow, api and grafana below it, and the tag of this release."
  type = object({
    registry = string
    tag      = string
  })
}

variable "database" {
  description = "The server and the secret that RDS keeps the master password in."
  type = object({
    address           = string
    master_secret_arn = string
  })
}

variable "buckets" {
  description = "Name of each bucket: landing, artifacts, reports, logs."
  type        = map(string)
}

variable "queue" {
  description = "Celery's broker, and for how long a worker may hold a message."
  type = object({
    url                  = string
    arn                  = string
    name                 = string
    longest_task_seconds = number
  })
}

variable "secret_arns" {
  description = "ARN of each secret by its name without the prefix."
  type        = map(string)
}

variable "connections_prefix" {
  description = "Where Airflow's secrets backend finds Connections."
  type        = string
}

variable "target_group_arns" {
  description = "Target groups of the load balancer by service: api, airflow, mlflow, grafana."
  type        = map(string)
}

variable "worker_count" {
  description = "Celery workers: at least, at most."
  type        = object({ min = number, max = number })
}

variable "api_count" {
  description = "Tasks of the endpoint: at least, at most."
  type        = object({ min = number, max = number })
}

variable "alarm_email" {
  description = "Who Grafana names as the receiver of its alerts."
  type        = string
}

variable "runbook_url" {
  description = "Where the runbook of Grafana's alerts is read."
  type        = string
}
