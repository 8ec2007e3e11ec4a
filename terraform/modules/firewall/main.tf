# AWS's managed rules, and a bound for each caller. The endpoint's own keys and limits stand behind it.
locals {
  managed_rules = {
    AWSManagedRulesAmazonIpReputationList = []
    AWSManagedRulesKnownBadInputsRuleSet  = [] # Log4j among them
    # A batch of 10,000 customers is larger than the 8 KB that this set allows; the endpoint bounds its bodies itself.
    AWSManagedRulesCommonRuleSet = ["SizeRestrictions_BODY"]
  }
}

resource "aws_wafv2_web_acl" "this" {
  #checkov:skip=CKV_AWS_342:the rate rule blocks; the managed groups bring actions of their own
  name        = var.name
  description = "Managed rules${var.requests_per_5_minutes == null ? "" : " and a bound for each address"}"
  scope       = var.scope

  default_action {
    allow {}
  }

  dynamic "rule" {
    for_each = local.managed_rules
    content {
      name     = rule.key
      priority = 10 + index(keys(local.managed_rules), rule.key)
      override_action {
        none {}
      }
      statement {
        managed_rule_group_statement {
          vendor_name = "AWS"
          name        = rule.key
          dynamic "rule_action_override" {
            for_each = rule.value
            content {
              name = rule_action_override.value
              action_to_use {
                count {}
              }
            }
          }
        }
      }
      visibility_config {
        metric_name                = rule.key
        cloudwatch_metrics_enabled = true
        sampled_requests_enabled   = true
      }
    }
  }

  dynamic "rule" {
    for_each = var.requests_per_5_minutes == null ? [] : [var.requests_per_5_minutes]
    content {
      name     = "rate"
      priority = 1
      action {
        block {}
      }
      statement {
        rate_based_statement {
          limit              = rule.value
          aggregate_key_type = "IP"
        }
      }
      visibility_config {
        metric_name                = "rate"
        cloudwatch_metrics_enabled = true
        sampled_requests_enabled   = true
      }
    }
  }

  visibility_config {
    metric_name                = var.name
    cloudwatch_metrics_enabled = true
    sampled_requests_enabled   = true
  }
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:refused requests are looked at within days
  #checkov:skip=CKV_AWS_158:under our key where one is given; a key of another region cannot encrypt this log, and no body or key of a caller is in it
  name              = "aws-waf-logs-${var.name}" # the prefix is required by WAF
  retention_in_days = 30
  kms_key_id        = var.logs_key_arn
}

resource "aws_wafv2_web_acl_logging_configuration" "this" {
  resource_arn            = aws_wafv2_web_acl.this.arn
  log_destination_configs = [aws_cloudwatch_log_group.this.arn]

  # Keys of callers stay out of the log.
  redacted_fields {
    single_header {
      name = "authorization"
    }
  }
  redacted_fields {
    single_header {
      name = "x-api-key"
    }
  }

  # What was let through is in the load balancer's log already.
  logging_filter {
    default_behavior = "DROP"
    filter {
      behavior    = "KEEP"
      requirement = "MEETS_ANY"
      condition {
        action_condition {
          action = "BLOCK"
        }
      }
    }
  }
}
