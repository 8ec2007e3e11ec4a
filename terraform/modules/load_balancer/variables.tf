variable "name" {
  description = "Prefix of every name, for example churn-staging."
  type        = string
}

variable "production" {
  description = "The load balancer of production cannot be deleted by mistake."
  type        = bool
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "subnet_ids" {
  description = "Public subnets, one a zone."
  type        = list(string)
}

variable "certificate_arn" {
  description = "ACM certificate for *.<domain>, in this region."
  type        = string
}

variable "domain" {
  description = "Names are below it: api, airflow, mlflow, grafana."
  type        = string
}

variable "zone_id" {
  description = "Route 53 zone of the domain."
  type        = string
}

variable "log_bucket" {
  description = "Bucket that receives the access log."
  type        = string
}

variable "operator_cidrs" {
  description = "Addresses of the people who operate; everybody else comes through CloudFront, to the endpoint only."
  type        = list(string)
}

variable "operator_login" {
  description = "Cognito user pool that asks operators who they are, or null: addresses alone decide."
  type = object({
    user_pool_arn = string
    client_id     = string
    domain        = string
  })
}

variable "services" {
  description = "What is reached through the load balancer, by host name below the domain."
  type = map(object({
    port     = number
    health   = string
    operator = bool # only for operators, who log in
  }))
}

variable "logs_key_arn" {
  description = "KMS key of the firewall's log."
  type        = string
}
