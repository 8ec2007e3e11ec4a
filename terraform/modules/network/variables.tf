variable "name" {
  description = "Prefix of every name, for example churn-staging."
  type        = string
}

variable "cidr" {
  description = "Addresses of the network, a /16."
  type        = string
}

variable "zone_count" {
  description = "Availability zones that the network spans."
  type        = number
}

variable "nat" {
  description = "Ways out to the internet: none, one (a zone's failure cuts it) or per_zone."
  type        = string
}

variable "logs_key_arn" {
  description = "KMS key of the flow logs."
  type        = string
}

variable "log_retention_days" {
  description = "Days that flow logs are kept."
  type        = number
}
