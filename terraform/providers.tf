provider "aws" {
  region      = var.region
  max_retries = 10

  default_tags {
    tags = local.tags
  }
}

# CloudFront takes its firewall from us-east-1, wherever the rest lives.
provider "aws" {
  alias       = "global"
  region      = "us-east-1"
  max_retries = 10

  default_tags {
    tags = local.tags
  }
}

# Draws passwords, which no state and no plan holds. Its own name lets the tests mock everything else.
provider "aws" {
  alias       = "passwords"
  region      = var.region
  max_retries = 10
}
