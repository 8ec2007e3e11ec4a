# Three kinds of subnets: public holds the load balancer and NAT only, private holds the tasks, data holds PostgreSQL and
# has no way out at all.
data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:the first zones by name are taken; one that AWS adds comes behind them
  state = "available"
}

locals {
  zones     = slice(data.aws_availability_zones.available.names, 0, var.zone_count)
  nat_zones = var.nat == "none" ? [] : var.nat == "one" ? [local.zones[0]] : local.zones

  # /20 each (4,091 addresses): public 0.., private 4.., data 8..; the rest of the /16 stays free.
  subnets = {
    for pair in setproduct(["public", "private", "data"], range(var.zone_count)) :
    "${pair[0]}-${local.zones[pair[1]]}" => {
      kind = pair[0]
      zone = local.zones[pair[1]]
      cidr = cidrsubnet(var.cidr, 4, pair[1] + { public = 0, private = 4, data = 8 }[pair[0]])
    }
  }
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = var.name }
}

resource "aws_subnet" "this" {
  for_each = local.subnets

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.value.zone
  cidr_block              = each.value.cidr
  map_public_ip_on_launch = false
  tags                    = { Name = "${var.name}-${each.key}" }
}

# The default group lets nobody in or out, so that what names no group of its own reaches nothing.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = var.name }
}

resource "aws_eip" "nat" {
  for_each = toset(local.nat_zones)

  #checkov:skip=CKV2_AWS_19:it belongs to a NAT gateway, not to an instance
  domain = "vpc"
  tags   = { Name = "${var.name}-nat-${each.key}" }
}

resource "aws_nat_gateway" "this" {
  for_each = toset(local.nat_zones)

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.this["public-${each.key}"].id
  tags          = { Name = "${var.name}-${each.key}" }
  depends_on    = [aws_internet_gateway.this]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-public" }
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table" "private" {
  for_each = toset(local.zones)

  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route" "private" {
  for_each = var.nat == "none" ? [] : toset(local.zones)

  #checkov:skip=CKV2_AWS_44:this is the way out through NAT, not a peering
  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[var.nat == "one" ? local.zones[0] : each.key].id
}

resource "aws_route_table" "data" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-data" }
}

resource "aws_route_table_association" "this" {
  for_each = local.subnets

  subnet_id = aws_subnet.this[each.key].id
  route_table_id = {
    public  = aws_route_table.public.id
    private = aws_route_table.private[each.value.zone].id
    data    = aws_route_table.data.id
  }[each.value.kind]
}
