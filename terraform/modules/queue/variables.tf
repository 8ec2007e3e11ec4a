variable "name" {
  description = "Prefix of every name, for example churn-staging."
  type        = string
}

variable "longest_task_seconds" {
  description = "A message that a worker holds for longer is given to another one. At most 43,200, which is SQS's own bound."
  type        = number
}
