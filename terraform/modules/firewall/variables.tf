variable "name" {
  description = "Name of the firewall."
  type        = string
}

variable "scope" {
  description = "CLOUDFRONT (then the provider must be the one of us-east-1) or REGIONAL."
  type        = string
}

variable "requests_per_5_minutes" {
  description = "Requests that one address may send in five minutes; null where CloudFront stands in front and one address is many callers."
  type        = number
  default     = null
}

variable "logs_key_arn" {
  description = "KMS key of the log; null under CloudWatch's own key."
  type        = string
  default     = null
}
