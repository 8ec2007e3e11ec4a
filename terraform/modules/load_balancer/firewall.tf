# The bound for each address is CloudFront's: here one address of CloudFront stands for many callers.
module "firewall" {
  source = "../firewall"

  name         = "${var.name}-load-balancer"
  scope        = "REGIONAL"
  logs_key_arn = var.logs_key_arn
}

resource "aws_wafv2_web_acl_association" "this" {
  resource_arn = aws_lb.this.arn
  web_acl_arn  = module.firewall.arn
}
