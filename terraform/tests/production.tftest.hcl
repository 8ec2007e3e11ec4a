# terraform test -var-file=production.tfvars -filter=tests/production.tftest.hcl
# No AWS: the provider is a mock, and what is asserted are values that our own code sets.

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

run "production_is_whole_and_closed" {
  command = plan

  assert {
    condition     = output.protections.database.multi_az
    error_message = "The database of production is Multi-AZ."
  }
  assert {
    condition     = output.protections.database.deletion_protection && output.protections.database.final_snapshot
    error_message = "The database of production is protected from deletion and leaves a final snapshot."
  }
  assert {
    condition     = output.protections.database.backup_days == 30 && output.protections.database.monthly_copies
    error_message = "Production restores to any second of 30 days and keeps monthly copies."
  }
  assert {
    condition     = !output.protections.storage.destroyed_when_full
    error_message = "Buckets of production are not destroyed with what is in them."
  }
  assert {
    condition     = output.protections.nat_gateways == 3
    error_message = "Production has a NAT gateway a zone."
  }
  assert {
    condition     = alltrue([for name in ["airflow", "airflow-scheduler", "mlflow", "api"] : output.protections.tasks[name] >= 2])
    error_message = "What people and callers wait for runs twice."
  }
  assert {
    condition     = !output.protections.database.public
    error_message = "The database is not public."
  }
  assert {
    condition     = output.protections.database.encrypted
    error_message = "The database is encrypted."
  }
  assert {
    condition     = output.protections.database.tls_forced
    error_message = "PostgreSQL takes no connection without TLS."
  }
  assert {
    condition     = startswith(output.protections.tls_policy, "ELBSecurityPolicy-TLS13")
    error_message = "The load balancer speaks TLS 1.3."
  }
  assert {
    condition     = output.protections.plain_http == "redirect"
    error_message = "Plain HTTP is sent to HTTPS."
  }
  assert {
    condition     = output.protections.storage.private && output.protections.storage.versioned
    error_message = "Every bucket is private and versioned."
  }
  assert {
    condition     = length(output.protections.public_tasks) == 0
    error_message = "No task has a public address."
  }
}
