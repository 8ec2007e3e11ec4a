# Production. Replace the account, the names and the addresses by yours; no secret belongs here.
environment = "production"
region      = "eu-central-1"
cidr        = "10.10.0.0/16"
nat         = "per_zone"

domain               = "churn.example.com"
zone_id              = "Z0123456789PRODUCTION"
certificate_arn      = "arn:aws:acm:eu-central-1:222222222222:certificate/00000000-0000-0000-0000-000000000001"
page_certificate_arn = "arn:aws:acm:us-east-1:222222222222:certificate/00000000-0000-0000-0000-000000000002"
operator_cidrs       = ["203.0.113.0/24"]
operator_login = {
  user_pool_arn = "arn:aws:cognito-idp:eu-central-1:222222222222:userpool/eu-central-1_EXAMPLE"
  client_id     = "exampleclient"
  domain        = "churn-operators"
}
alarm_emails = ["churn-oncall@example.com"]
runbook_url  = "https://git.example.com/churn/docs/runbook.md"

image_registry          = "222222222222.dkr.ecr.eu-central-1.amazonaws.com/churn"
database_instance_class = "db.m7g.xlarge"
database_storage_gb     = 200
worker_count            = { min = 2, max = 8 }
api_count               = { min = 2, max = 6 }
