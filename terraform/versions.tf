terraform {
  required_version = ">= 1.11, < 2.0" # write-only arguments and S3's own lock file came with 1.10 and 1.11

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0" # exactly: the plans of the tests are of this one
    }
  }

  # Where the state lies is in <environment>.backend.hcl; terraform/bootstrap makes the bucket.
  backend "s3" {}
}
