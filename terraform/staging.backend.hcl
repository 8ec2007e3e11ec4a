# The state of staging. The bucket is made by terraform/bootstrap.
bucket       = "churn-terraform-state-111111111111"
key          = "staging/terraform.tfstate"
region       = "eu-central-1"
encrypt      = true
use_lockfile = true
