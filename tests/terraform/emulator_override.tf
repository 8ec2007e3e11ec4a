# Merged into the provider blocks by Terraform's own rule for override files. For the emulator only: no real environment
# has a file of this name, and .gitignore keeps it out of terraform/.
provider "aws" {
  s3_use_path_style       = true
  skip_metadata_api_check = true
  max_retries             = 2
}

provider "aws" {
  alias                   = "global"
  s3_use_path_style       = true
  skip_metadata_api_check = true
  max_retries             = 2
}

provider "aws" {
  alias                   = "passwords"
  s3_use_path_style       = true
  skip_metadata_api_check = true
  max_retries             = 2
}
