output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
}

output "subnet_ids" {
  description = "Subnets by kind: public, private, data."
  value = {
    for kind in ["public", "private", "data"] :
    kind => [for zone in local.zones : aws_subnet.this["${kind}-${zone}"].id]
  }
}

output "endpoints_security_group_id" {
  description = "Group of the AWS endpoints; a task may leave towards it."
  value       = aws_security_group.endpoints.id
}

output "s3_prefix_list_id" {
  description = "Addresses of S3 as the gateway endpoint routes them."
  value       = data.aws_ec2_managed_prefix_list.s3.id
}

output "nat_gateway_count" {
  description = "Ways out to the internet."
  value       = length(aws_nat_gateway.this)
}
