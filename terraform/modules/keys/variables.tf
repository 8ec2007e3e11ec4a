variable "name" {
  description = "Prefix of every name, for example churn-staging."
  type        = string
}

variable "landing_writer_arns" {
  description = "IAM principals that deliver extracts under the key of data."
  type        = list(string)
  default     = []
}
