# The page and the endpoint as the world sees them: TLS near the caller, the firewall, and no cache for answers.
locals {
  host = "api.${var.domain}"

  # CloudFront's managed policies have the same ids in every account.
  caching_disabled  = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
  all_of_the_viewer = "216adef6-5c7f-47e4-b989-5492eafa07d3"
  security_headers  = "67f7725c-6f97-4210-82d7-5512b31e9d03"
}

module "firewall" {
  source    = "../firewall"
  providers = { aws = aws.global } # CloudFront takes its firewall from us-east-1 only

  name                   = "${var.name}-page"
  scope                  = "CLOUDFRONT"
  requests_per_5_minutes = 3000
}

resource "aws_cloudfront_distribution" "this" {
  #checkov:skip=CKV2_AWS_32:attached below, by the id of the managed policy
  #checkov:skip=CKV_AWS_86:each request is in the load balancer's log, with the caller's address
  #checkov:skip=CKV_AWS_310:there is one origin; it spans the zones itself
  #checkov:skip=CKV_AWS_305:the endpoint answers / itself
  #checkov:skip=CKV_AWS_374:countries are bounded where var.countries names any
  enabled         = true
  comment         = "${var.name}: page and endpoint"
  aliases         = [local.host]
  http_version    = "http2and3"
  is_ipv6_enabled = true
  price_class     = "PriceClass_100"
  web_acl_id      = module.firewall.arn

  origin {
    origin_id   = "load-balancer"
    domain_name = var.origin
    custom_origin_config {
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
      http_port              = 80
      https_port             = 443
      origin_read_timeout    = 60 # seconds
    }
  }

  default_cache_behavior {
    target_origin_id           = "load-balancer"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
    cached_methods             = ["GET", "HEAD"]
    compress                   = true
    cache_policy_id            = local.caching_disabled # an answer is about one customer
    origin_request_policy_id   = local.all_of_the_viewer
    response_headers_policy_id = local.security_headers
  }

  viewer_certificate {
    acm_certificate_arn      = var.certificate_arn
    minimum_protocol_version = "TLSv1.2_2021"
    ssl_support_method       = "sni-only"
  }

  restrictions {
    geo_restriction {
      restriction_type = length(var.countries) > 0 ? "whitelist" : "none"
      locations        = var.countries
    }
  }
}

resource "aws_route53_record" "this" {
  for_each = toset(["A", "AAAA"])

  zone_id = var.zone_id
  name    = local.host
  type    = each.key
  alias {
    name                   = aws_cloudfront_distribution.this.domain_name
    zone_id                = aws_cloudfront_distribution.this.hosted_zone_id
    evaluate_target_health = false
  }
}
