variable "name" {
  description = "Prefix of every name, for example churn-staging."
  type        = string
}

variable "domain" {
  description = "The page and the endpoint are api.<domain>."
  type        = string
}

variable "zone_id" {
  description = "Route 53 zone of the domain."
  type        = string
}

variable "certificate_arn" {
  description = "ACM certificate for *.<domain>, in us-east-1, where CloudFront looks for it."
  type        = string
}

variable "origin" {
  description = "Name under which the load balancer is found."
  type        = string
}

variable "countries" {
  description = "Countries (ISO 3166-1 alpha-2) that may call; all where empty."
  type        = list(string)
}
