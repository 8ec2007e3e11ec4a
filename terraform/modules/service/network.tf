# Every opening is a rule with a reason. What is not written here is closed, both ways.
resource "aws_security_group" "this" {
  #checkov:skip=CKV2_AWS_5:attached to the service, and to the one-off task when the deploy runs it
  name        = local.full_name
  description = "Tasks of ${var.service_name}"
  vpc_id      = var.cluster.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "aws" {
  security_group_id            = aws_security_group.this.id
  description                  = "AWS endpoints inside the network"
  referenced_security_group_id = var.cluster.endpoints_group_id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.this.id
  description       = "S3 through its gateway; image layers lie there too"
  prefix_list_id    = var.cluster.s3_prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "internet" {
  count = var.reaches.internet ? 1 : 0

  security_group_id = aws_security_group.this.id
  description       = "HTTPS through NAT: notices"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "database" {
  count = var.reaches.database ? 1 : 0

  security_group_id            = aws_security_group.this.id
  description                  = "PostgreSQL"
  referenced_security_group_id = var.cluster.database_group_id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  count = var.reaches.database ? 1 : 0

  security_group_id            = var.cluster.database_group_id
  description                  = "From ${var.service_name}"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_vpc_security_group_ingress_rule" "load_balancer" {
  count = local.behind_load_balancer ? 1 : 0

  security_group_id            = aws_security_group.this.id
  description                  = "From the load balancer"
  referenced_security_group_id = var.cluster.load_balancer_group
  ip_protocol                  = "tcp"
  from_port                    = var.ingress.port
  to_port                      = var.ingress.port
}

resource "aws_vpc_security_group_egress_rule" "load_balancer" {
  count = local.behind_load_balancer ? 1 : 0

  security_group_id            = var.cluster.load_balancer_group
  description                  = "To ${var.service_name}"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = var.ingress.port
  to_port                      = var.ingress.port
}
