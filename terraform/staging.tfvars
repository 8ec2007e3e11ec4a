# Staging: the same code, smaller. Replace the account, the names and the addresses by yours; no secret belongs here.
environment = "staging"
region      = "eu-central-1"
cidr        = "10.20.0.0/16"
nat         = "one"

domain               = "staging.churn.example.com"
zone_id              = "Z0123456789STAGING"
certificate_arn      = "arn:aws:acm:eu-central-1:111111111111:certificate/00000000-0000-0000-0000-000000000001"
page_certificate_arn = "arn:aws:acm:us-east-1:111111111111:certificate/00000000-0000-0000-0000-000000000002"
operator_cidrs       = ["203.0.113.0/24"]
alarm_emails         = ["churn-staging@example.com"]
runbook_url          = "https://git.example.com/churn/docs/runbook.md"

image_registry          = "111111111111.dkr.ecr.eu-central-1.amazonaws.com/churn"
database_instance_class = "db.t4g.medium"
database_storage_gb     = 50
worker_count            = { min = 1, max = 2 }
api_count               = { min = 1, max = 2 }
