# The state of production. The bucket is made by terraform/bootstrap.
bucket       = "churn-terraform-state-222222222222"
key          = "production/terraform.tfstate"
region       = "eu-central-1"
encrypt      = true
use_lockfile = true
