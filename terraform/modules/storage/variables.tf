variable "name" {
  description = "Prefix of every name, for example churn-staging."
  type        = string
}

variable "production" {
  description = "Staging may be destroyed with what is in its buckets; production may not."
  type        = bool
}

variable "data_key_arn" {
  description = "KMS key of landing, artifacts and reports."
  type        = string
}

variable "landing_writer_arns" {
  description = "IAM principals of other accounts or teams that deliver extracts."
  type        = list(string)
}
