variable "name" {
  description = "Prefix of every name, for example churn-staging."
  type        = string
}

variable "production" {
  description = "Decides Multi-AZ, deletion protection, the final snapshot, retention and the long-term copies."
  type        = bool
}

variable "vpc_id" {
  description = "The network that holds the database."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets without a way out, one a zone."
  type        = list(string)
}

variable "instance_class" {
  description = "Size of the instance."
  type        = string
}

variable "storage_gb" {
  description = "Storage at the start; it grows by itself to four times as much."
  type        = number
}

variable "data_key_arn" {
  description = "KMS key of storage, snapshots and performance insights."
  type        = string
}

variable "secrets_key_arn" {
  description = "KMS key of the master password, which RDS makes, keeps and rotates."
  type        = string
}

variable "logs_key_arn" {
  description = "KMS key of the server log."
  type        = string
}

variable "log_retention_days" {
  description = "Days that the server log is kept."
  type        = number
}
