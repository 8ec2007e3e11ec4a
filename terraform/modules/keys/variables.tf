variable "name" {
  description = "Prefix of every name, for example churn-staging."
  type        = string
}
