# What wakes somebody. Each alarm says what it means and what to look at; docs/aws.md has the answers.
data "aws_caller_identity" "current" {}

locals {
  gb = 1073741824

  # metric = namespace and name; above/below = the limit; minutes = how long it has to hold.
  alarms = merge({
    database-cpu = {
      says = "PostgreSQL works at its limit: look at performance insights.", metric = ["AWS/RDS", "CPUUtilization"]
      of   = { DBInstanceIdentifier = var.database.identifier }, statistic = "Average", above = 90, below = null, minutes = 30
    }
    database-storage = {
      says      = "PostgreSQL runs out of space although storage grows by itself: it has reached its bound."
      metric    = ["AWS/RDS", "FreeStorageSpace"], of = { DBInstanceIdentifier = var.database.identifier }
      statistic = "Minimum", above = null, below = var.database.storage_gb * local.gb * 0.08, minutes = 15
    }
    database-connections = {
      says      = "PostgreSQL's connections run out: a pool leaks, or there are too many workers."
      metric    = ["AWS/RDS", "DatabaseConnections"], of = { DBInstanceIdentifier = var.database.identifier }
      statistic = "Maximum", above = 150, below = null, minutes = 10
    }
    database-memory = {
      says = "PostgreSQL runs out of memory.", metric = ["AWS/RDS", "FreeableMemory"]
      of   = { DBInstanceIdentifier = var.database.identifier }, statistic = "Minimum", above = null, below = 0.25 * local.gb, minutes = 15
    }
    api-errors = {
      says      = "The endpoint answers with 5xx: read its log.", metric = ["AWS/ApplicationELB", "HTTPCode_Target_5XX_Count"]
      of        = { LoadBalancer = var.load_balancer.load_balancer, TargetGroup = var.load_balancer.api }
      statistic = "Sum", above = 10, below = null, minutes = 5
    }
    api-latency = {
      says      = "The endpoint is slow: 99 of 100 answers took longer than 1 s.", metric = ["AWS/ApplicationELB", "TargetResponseTime"]
      of        = { LoadBalancer = var.load_balancer.load_balancer, TargetGroup = var.load_balancer.api }
      statistic = "p99", above = 1, below = null, minutes = 10
    }
    api-down = {
      says      = "No healthy task of the endpoint.", metric = ["AWS/ApplicationELB", "HealthyHostCount"]
      of        = { LoadBalancer = var.load_balancer.load_balancer, TargetGroup = var.load_balancer.api }
      statistic = "Minimum", above = null, below = 1, minutes = 3
    }
    tasks-wait-long = {
      says = "A task has waited for an hour: workers are missing or stuck.", metric = ["AWS/SQS", "ApproximateAgeOfOldestMessage"]
      of   = { QueueName = var.queue.tasks }, statistic = "Maximum", above = 3600, below = null, minutes = 10
    }
    tasks-refused = {
      says = "A task was given out five times and never ended: it kills its worker.", metric = ["AWS/SQS", "ApproximateNumberOfMessagesVisible"]
      of   = { QueueName = var.queue.refused }, statistic = "Maximum", above = 0, below = null, minutes = 1
    }
    }, {
    for service, count in var.services : "${service}-missing" => {
      says = "Fewer tasks of ${service} run than should.", metric = ["ECS/ContainerInsights", "RunningTaskCount"]
      of   = { ClusterName = var.cluster_name, ServiceName = service }, statistic = "Minimum", above = null, below = count, minutes = 10
    }
  })
}

data "aws_iam_policy_document" "topic" {
  statement {
    sid       = "CloudWatchTells"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.this.arn]
    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_sns_topic" "this" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.logs_key_arn
}

resource "aws_sns_topic_policy" "this" {
  arn    = aws_sns_topic.this.arn
  policy = data.aws_iam_policy_document.topic.json
}

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.emails)

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.key
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.says
  namespace           = each.value.metric[0]
  metric_name         = each.value.metric[1]
  dimensions          = each.value.of
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  comparison_operator = each.value.above != null ? "GreaterThanThreshold" : "LessThanThreshold"
  threshold           = each.value.above != null ? each.value.above : each.value.below
  period              = 60
  evaluation_periods  = each.value.minutes
  treat_missing_data  = endswith(each.key, "-missing") || each.key == "api-down" ? "breaching" : "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}
