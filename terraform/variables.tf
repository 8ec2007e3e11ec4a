# What an environment is told. Everything else is decided by the modules, from `environment` or for all of them.

variable "environment" {
  description = "staging or production. Decides Multi-AZ, deletion protection, retention, zones and sizes."
  type        = string
  validation {
    condition     = contains(["staging", "production"], var.environment)
    error_message = "environment is staging or production."
  }
}

# --- Where

variable "region" {
  description = "AWS region of everything but CloudFront."
  type        = string
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is the name of an AWS region, for example eu-central-1."
  }
}

variable "cidr" {
  description = "Addresses of the network, a /16 of the private ranges that no other network you will connect uses."
  type        = string
  validation {
    condition     = can(cidrhost(var.cidr, 0)) && can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.).*/16$", var.cidr))
    error_message = "cidr is a private /16, for example 10.20.0.0/16."
  }
}

variable "nat" {
  description = "Ways out to the internet, for notices (CHURN_NOTIFY_URLS): none, one, or per_zone. AWS itself is reached without."
  type        = string
  validation {
    condition     = contains(["none", "one", "per_zone"], var.nat)
    error_message = "nat is none, one or per_zone."
  }
  validation {
    condition     = var.environment != "production" || var.nat != "one"
    error_message = "In production one zone's failure must not cut all ways out: nat is per_zone, or none where nothing is sent out."
  }
}

# --- Names and who may come in

variable "domain" {
  description = "api, airflow, mlflow and grafana become names below it."
  type        = string
  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "domain is a name without https:// and without a dot at its end, for example churn.example.com."
  }
}

variable "zone_id" {
  description = "Public Route 53 zone that the names are written to."
  type        = string
  validation {
    condition     = can(regex("^[A-Z0-9]{10,32}$", var.zone_id))
    error_message = "zone_id is the id of a Route 53 zone, capital letters and digits, not its name."
  }
}

variable "certificate_arn" {
  description = "ACM certificate for *.<domain> in `region`, for the load balancer."
  type        = string
  validation {
    condition     = can(regex("^arn:aws[a-z-]*:acm:${var.region}:[0-9]{12}:certificate/", var.certificate_arn))
    error_message = "certificate_arn is an ACM certificate in the region of the environment."
  }
}

variable "page_certificate_arn" {
  description = "ACM certificate for *.<domain> in us-east-1, where CloudFront looks for it."
  type        = string
  validation {
    condition     = can(regex("^arn:aws[a-z-]*:acm:us-east-1:[0-9]{12}:certificate/", var.page_certificate_arn))
    error_message = "page_certificate_arn is an ACM certificate in us-east-1: CloudFront takes no other."
  }
}

variable "page_countries" {
  description = "Countries (ISO 3166-1 alpha-2) that may call the endpoint; all where empty."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for country in var.page_countries : can(regex("^[A-Z]{2}$", country))])
    error_message = "page_countries are two capital letters each, for example DE."
  }
}

variable "operator_cidrs" {
  description = "Addresses from which people open Airflow, MLflow and Grafana: the office, the VPN. At most four."
  type        = list(string)
  validation {
    condition     = length(var.operator_cidrs) > 0 && length(var.operator_cidrs) <= 4
    error_message = "operator_cidrs has one to four entries: a rule of the load balancer takes no more."
  }
  validation {
    condition     = alltrue([for cidr in var.operator_cidrs : can(cidrhost(cidr, 0)) && try(tonumber(split("/", cidr)[1]), 0) >= 16])
    error_message = "operator_cidrs are address ranges of a company, a /16 or smaller: MLflow asks nobody for a password, so the world must not reach it."
  }
}

variable "operator_login" {
  description = "Cognito user pool that asks operators who they are before Airflow, MLflow and Grafana; null in staging leaves it to addresses."
  type = object({
    user_pool_arn = string
    client_id     = string
    domain        = string
  })
  default = null
  validation {
    condition     = var.environment != "production" || var.operator_login != null
    error_message = "In production operators log in: operator_login names a Cognito user pool, its client and its domain."
  }
}

variable "landing_writer_arns" {
  description = "IAM principals that deliver extracts into the landing bucket, besides our own tasks."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for arn in var.landing_writer_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/", arn))])
    error_message = "landing_writer_arns are ARNs of IAM roles or users; a whole account or * is nobody in particular."
  }
}

variable "alarm_emails" {
  description = "Who is told of alarms."
  type        = list(string)
  validation {
    condition     = length(var.alarm_emails) > 0 && alltrue([for email in var.alarm_emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", email))])
    error_message = "alarm_emails has at least one address: an alarm that nobody gets is none."
  }
}

variable "runbook_url" {
  description = "Where people read docs/runbook.md of this repository; Grafana's alerts link to it."
  type        = string
  validation {
    condition     = startswith(var.runbook_url, "https://")
    error_message = "runbook_url starts with https://."
  }
}

# --- What runs

variable "image_registry" {
  description = "Registry and path that hold airflow, mlflow, api and grafana: the output `image_registry` of terraform/bootstrap."
  type        = string
  validation {
    condition     = can(regex("^[0-9]{12}\\.dkr\\.ecr\\.${var.region}\\.amazonaws\\.com(\\.cn)?/[a-z0-9/_-]+$", var.image_registry))
    error_message = "image_registry is <account>.dkr.ecr.<region>.amazonaws.com/<path> in the region of the environment."
  }
}

variable "image_tag" {
  description = "Release to run. The deploy sets it: a commit, never a word that moves."
  type        = string
  validation {
    condition     = can(regex("^[0-9a-f]{12}$", var.image_tag))
    error_message = "image_tag is the first 12 digits of a commit; `latest` cannot be rolled back to."
  }
}

variable "database_instance_class" {
  description = "RDS instance: memory for the night's COPY and indexes, not for many connections."
  type        = string
  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.database_instance_class))
    error_message = "database_instance_class is an RDS class, for example db.m7g.large."
  }
  validation {
    condition     = var.environment != "production" || !startswith(var.database_instance_class, "db.t")
    error_message = "In production the night would use up a burstable instance's credits: take db.m or db.r."
  }
}

variable "database_storage_gb" {
  description = "Storage of RDS at the start; it grows by itself to four times as much."
  type        = number
  validation {
    condition     = var.database_storage_gb >= 20 && var.database_storage_gb <= 16384
    error_message = "database_storage_gb is between 20 and 16,384."
  }
}

variable "worker_count" {
  description = "Celery workers: at least (also at night's end), at most (while tasks wait)."
  type        = object({ min = number, max = number })
  validation {
    condition     = var.worker_count.min >= 1 && var.worker_count.max >= var.worker_count.min && var.worker_count.max <= 50
    error_message = "worker_count: 1 <= min <= max <= 50; PostgreSQL has connections for no more."
  }
}

variable "api_count" {
  description = "Tasks of the endpoint: at least, at most."
  type        = object({ min = number, max = number })
  validation {
    condition     = var.api_count.min >= (var.environment == "production" ? 2 : 1) && var.api_count.max >= var.api_count.min
    error_message = "api_count: min <= max, and in production at least 2: one may be lost."
  }
}

variable "password_version" {
  description = "One more, and a deploy, gives every database role a new password."
  type        = number
  default     = 1
  validation {
    condition     = var.password_version >= 1 && floor(var.password_version) == var.password_version
    error_message = "password_version counts upwards from 1."
  }
}

variable "write_secrets" {
  description = "false where passwords come from a tool of your own: the secrets are then made empty, with the keys that docs/aws.md lists to be filled in."
  type        = bool
  default     = true
}
