output "address" {
  description = "Host name of the server."
  value       = aws_db_instance.this.address
}

output "identifier" {
  description = "Identifier, for restores."
  value       = aws_db_instance.this.identifier
}

output "security_group_id" {
  description = "Group of the server; a service that needs it is let in."
  value       = aws_security_group.this.id
}

output "master_secret_arn" {
  description = "Secret that RDS keeps the master password in."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}

output "protections" {
  description = "What protects the data, read from the resource itself."
  value = {
    multi_az            = aws_db_instance.this.multi_az
    encrypted           = aws_db_instance.this.storage_encrypted
    public              = aws_db_instance.this.publicly_accessible
    deletion_protection = aws_db_instance.this.deletion_protection
    final_snapshot      = !aws_db_instance.this.skip_final_snapshot
    backup_days         = aws_db_instance.this.backup_retention_period
    monthly_copies      = length(aws_backup_plan.this) == 1
    tls_forced = one([
      for parameter in aws_db_parameter_group.this.parameter : parameter.value if parameter.name == "rds.force_ssl"
    ]) == "1"
  }
}
