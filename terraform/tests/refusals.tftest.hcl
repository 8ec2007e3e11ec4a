# terraform test -var-file=production.tfvars -filter=tests/refusals.tftest.hcl
# Each variable named below has to refuse its value; one that lets it pass fails the run.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "global"
  source = "./tests/mocks"
}

# Terraform's mocks refuse what draws the passwords, so this one is the real provider, which calls nothing in these plans;
# the apply on an emulator draws them.
provider "aws" {
  alias                       = "passwords"
  region                      = "eu-central-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}

variables {
  image_tag     = "0123456789ab"
  write_secrets = false
}

run "what_is_no_such_thing" {
  command = plan
  variables {
    environment         = "test"
    region              = "Frankfurt"
    cidr                = "8.8.0.0/16"
    domain              = "https://churn.example.com"
    zone_id             = "churn.example.com"
    page_countries      = ["Germany"]
    image_tag           = "latest"
    database_storage_gb = 5
    password_version    = 1.5
    worker_count        = { min = 0, max = 2 }
    alarm_emails        = []
    landing_writer_arns = ["*"]
  }
  expect_failures = [
    var.environment,
    var.region,
    var.cidr,
    var.domain,
    var.zone_id,
    var.page_countries,
    var.image_tag,
    var.database_storage_gb,
    var.password_version,
    var.worker_count,
    var.alarm_emails,
    var.landing_writer_arns,
  ]
}

run "what_lies_elsewhere" {
  command = plan
  variables {
    nat                  = "two"
    cidr                 = "10.10.0.0/24"
    certificate_arn      = "arn:aws:acm:us-east-1:222222222222:certificate/1"
    page_certificate_arn = "arn:aws:acm:eu-central-1:222222222222:certificate/1"
    image_registry       = "docker.io/churn"
    operator_cidrs       = ["0.0.0.0/0"]
    worker_count         = { min = 3, max = 2 }
  }
  expect_failures = [
    var.nat,
    var.cidr,
    var.certificate_arn,
    var.page_certificate_arn,
    var.image_registry,
    var.operator_cidrs,
    var.worker_count,
  ]
}

run "what_production_refuses_and_staging_does_not" {
  command = plan
  variables {
    nat                     = "one"
    operator_login          = null
    database_instance_class = "db.t4g.medium"
    api_count               = { min = 1, max = 2 }
    operator_cidrs          = []
  }
  expect_failures = [
    var.nat,
    var.operator_login,
    var.database_instance_class,
    var.api_count,
    var.operator_cidrs,
  ]
}
