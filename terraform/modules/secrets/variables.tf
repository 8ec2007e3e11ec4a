variable "name" {
  description = "Prefix of every name, for example churn-staging."
  type        = string
}

variable "production" {
  description = "A deleted secret of production can be brought back for 30 days; one of staging is gone."
  type        = bool
}

variable "key_arn" {
  description = "KMS key of the secrets."
  type        = string
}

variable "database_address" {
  description = "Host name of PostgreSQL."
  type        = string
}

variable "password_version" {
  description = "One more makes new passwords for every database role."
  type        = number
}

variable "write_values" {
  description = "Draw and write the values; false makes the secrets empty."
  type        = bool
}
