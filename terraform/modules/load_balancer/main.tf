# One way in. Two kinds of callers reach it: CloudFront, which may ask for the endpoint only, and operators.
data "aws_ec2_managed_prefix_list" "cloudfront" {
  name = "com.amazonaws.global.cloudfront.origin-facing"
}

resource "aws_security_group" "this" {
  name        = "${var.name}-load-balancer"
  description = "HTTPS from CloudFront"
  vpc_id      = var.vpc_id
}

# Its own group: CloudFront's prefix list counts as 55 rules, and a group takes 60.
resource "aws_security_group" "operators" {
  name        = "${var.name}-operators"
  description = "HTTPS from operators"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "cloudfront" {
  security_group_id = aws_security_group.this.id
  description       = "HTTPS from CloudFront"
  prefix_list_id    = data.aws_ec2_managed_prefix_list.cloudfront.id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "operators" {
  for_each = { for pair in setproduct(var.operator_cidrs, [80, 443]) : "${pair[0]}:${pair[1]}" => pair }

  #checkov:skip=CKV_AWS_260:port 80 answers operators with a redirect to HTTPS and nothing else
  security_group_id = aws_security_group.operators.id
  description       = "Operators${each.value[1] == 80 ? ", to be sent to HTTPS" : ""}"
  cidr_ipv4         = each.value[0]
  ip_protocol       = "tcp"
  from_port         = each.value[1]
  to_port           = each.value[1]
}

resource "aws_vpc_security_group_egress_rule" "login" {
  count = var.operator_login == null ? 0 : 1

  security_group_id = aws_security_group.this.id
  description       = "The load balancer asks Cognito for the token of who logged in"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_lb" "this" {
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = false
  subnets                    = var.subnet_ids
  security_groups            = [aws_security_group.this.id, aws_security_group.operators.id]
  drop_invalid_header_fields = true
  desync_mitigation_mode     = "strictest"
  enable_deletion_protection = var.production
  idle_timeout               = 120 # seconds; a batch of 10,000 rows is answered well within

  access_logs {
    bucket  = var.log_bucket
    prefix  = "alb"
    enabled = true
  }
  #checkov:skip=CKV_AWS_150:on in production; staging can be destroyed by its owners
}

resource "aws_lb_target_group" "this" {
  for_each = var.services

  #checkov:skip=CKV_AWS_378:TLS ends at the load balancer; behind it a task answers that one security group only, inside the network
  name                 = "${var.name}-${each.key}"
  vpc_id               = var.vpc_id
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = each.value.port
  deregistration_delay = 30 # seconds

  health_check {
    path                = each.value.health
    matcher             = "200"
    interval            = 15
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 4
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.this.arn
  protocol          = "HTTPS"
  port              = 443
  certificate_arn   = var.certificate_arn
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06" # TLS 1.3, and 1.2 with forward secrecy

  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = "Nothing is served under this name."
      status_code  = "404"
    }
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.this.arn
  protocol          = "HTTP"
  port              = 80

  default_action {
    type = "redirect"
    redirect {
      protocol    = "HTTPS"
      port        = "443"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_lb_listener_rule" "this" {
  for_each = var.services

  listener_arn = aws_lb_listener.https.arn
  priority     = 10 + index(keys(var.services), each.key)

  dynamic "action" {
    for_each = each.value.operator && var.operator_login != null ? [var.operator_login] : []
    content {
      type  = "authenticate-cognito"
      order = 1
      authenticate_cognito {
        user_pool_arn              = action.value.user_pool_arn
        user_pool_client_id        = action.value.client_id
        user_pool_domain           = action.value.domain
        on_unauthenticated_request = "authenticate"
        session_timeout            = 28800 # seconds: a working day
      }
    }
  }

  action {
    type             = "forward"
    order            = 2
    target_group_arn = aws_lb_target_group.this[each.key].arn
  }

  condition {
    host_header {
      values = ["${each.key}.${var.domain}"]
    }
  }

  # CloudFront would forward any host name that somebody points at it: what is for operators asks for their address too.
  dynamic "condition" {
    for_each = each.value.operator ? [var.operator_cidrs] : []
    content {
      source_ip {
        values = condition.value
      }
    }
  }
}

# The endpoint's public name belongs to CloudFront; `origin` is where CloudFront finds the load balancer.
resource "aws_route53_record" "this" {
  for_each = toset(concat(["origin"], [for name, service in var.services : name if service.operator]))

  zone_id = var.zone_id
  name    = "${each.key}.${var.domain}"
  type    = "A"
  alias {
    name                   = aws_lb.this.dns_name
    zone_id                = aws_lb.this.zone_id
    evaluate_target_health = true
  }
}
