# Celery's broker: one queue. What was received five times without an end lands beside it and raises an alarm.
resource "aws_sqs_queue" "refused" {
  name                      = "${var.name}-tasks-refused"
  message_retention_seconds = 1209600 # 14 days
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "tasks" {
  name                       = "${var.name}-tasks"
  visibility_timeout_seconds = var.longest_task_seconds
  message_retention_seconds  = 345600 # 4 days: a weekend without workers loses nothing
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true
  redrive_policy             = jsonencode({ deadLetterTargetArn = aws_sqs_queue.refused.arn, maxReceiveCount = 5 })
}

data "aws_iam_policy_document" "tls" {
  for_each = { tasks = aws_sqs_queue.tasks.arn, refused = aws_sqs_queue.refused.arn }

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [each.value]
    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sqs_queue_policy" "tls" {
  for_each = { tasks = aws_sqs_queue.tasks.id, refused = aws_sqs_queue.refused.id }

  queue_url = each.value
  policy    = data.aws_iam_policy_document.tls[each.key].json
}
