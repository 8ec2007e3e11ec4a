variable "cluster" {
  description = "What every service of the environment shares."
  type = object({
    name                = string # prefix of every name
    cluster_arn         = string
    namespace_id        = string # service discovery
    vpc_id              = string
    subnet_ids          = list(string)
    secrets_key_arn     = string
    logs_key_arn        = string
    log_retention_days  = number
    endpoints_group_id  = string
    database_group_id   = string
    s3_prefix_list_id   = string
    load_balancer_group = string
  })
}

variable "service_name" {
  description = "Name of the service, and its host name inside the network."
  type        = string
}

variable "image" {
  description = "Repository ARN and full name of the image with its tag."
  type = object({
    repository_arn = string
    name           = string
  })
}

variable "command" {
  description = "What the container runs."
  type        = list(string)
}

variable "size" {
  description = "cpu in units of 1/1024, memory in MB, disk in GB (21 to 200)."
  type = object({
    cpu    = number
    memory = number
    disk   = optional(number, 21)
  })
}

variable "environment" {
  description = "Settings that are no secret."
  type        = map(string)
}

variable "secrets" {
  description = "Variables that come out of Secrets Manager: the secret's ARN, and the key inside it."
  type        = map(object({ arn = string, key = string }))
}

variable "permissions_json" {
  description = "What the code may do in AWS; null where it does nothing there."
  type        = string
  default     = null
}

variable "has_permissions" {
  description = "Whether there are permissions: known at plan time, while the document is not."
  type        = bool
  default     = false
}

variable "ingress" {
  description = "The port that the service answers on and the target group of the load balancer, if any."
  type = object({
    port               = number
    from_load_balancer = optional(bool, false)
    target_group_arn   = optional(string)
  })
  default = null
}

variable "reaches" {
  description = "Where the service may go besides AWS: the database, the internet (through NAT)."
  type = object({
    database = optional(bool, true)
    internet = optional(bool, false)
  })
}

variable "stop_seconds" {
  description = "Time to end well after SIGTERM, at most 120."
  type        = number
  default     = 30
}

variable "runs" {
  description = "Whether it runs all the time; a one-off task is only defined."
  type        = bool
  default     = true
}
