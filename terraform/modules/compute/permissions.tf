# What the code itself may do in AWS, by exact action and resource. The endpoint and Grafana may do nothing there.
locals {
  bucket_arn = { for name, bucket in var.buckets : name => "arn:${data.aws_partition.current.partition}:s3:::${bucket}" }

  read    = { actions = ["s3:GetObject"] }
  write   = { actions = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"] }
  replace = { actions = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"] }

  connections_arn = "arn:${data.aws_partition.current.partition}:secretsmanager:${local.region}:${data.aws_caller_identity.current.account_id}:secret:${var.connections_prefix}/*"
  consume         = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
  send            = ["sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]

  # By service: objects = bucket/prefix and how; queue = actions; connections = reads Airflow's Connections.
  permissions = {
    airflow = {
      objects     = { "reports/reports" = local.read, "logs/airflow" = local.read }
      queue       = []
      connections = true # it hands them to tasks that ask
    }
    airflow-scheduler     = { objects = { "logs/airflow" = local.write }, queue = local.send, connections = false }
    airflow-dag-processor = { objects = { "logs/airflow" = local.write }, queue = [], connections = true }
    airflow-triggerer     = { objects = { "logs/airflow" = local.write, "landing/extracts" = local.read }, queue = [], connections = true }
    airflow-worker = {
      objects = {
        "landing/extracts" = local.write
        "reports/reports"  = local.replace # old drift reports make room
        "logs/airflow"     = local.write
      }
      queue       = concat(local.consume, ["sqs:SendMessage"]) # a message of a stopped worker goes back
      connections = true
    }
    mlflow = { objects = { "artifacts/mlflow" = local.write }, queue = [], connections = false }
  }
}

data "aws_iam_policy_document" "run" {
  for_each = local.permissions

  dynamic "statement" {
    for_each = each.value.objects
    content {
      sid       = "Objects${replace(title(replace(statement.key, "/", " ")), " ", "")}"
      actions   = statement.value.actions
      resources = ["${local.bucket_arn[split("/", statement.key)[0]]}/${split("/", statement.key)[1]}/*"]
    }
  }

  dynamic "statement" {
    for_each = each.value.objects
    content {
      sid       = "List${replace(title(replace(statement.key, "/", " ")), " ", "")}"
      actions   = ["s3:ListBucket"]
      resources = [local.bucket_arn[split("/", statement.key)[0]]]
      condition {
        test     = "StringLike"
        variable = "s3:prefix"
        values   = [split("/", statement.key)[1], "${split("/", statement.key)[1]}/*"]
      }
    }
  }

  statement {
    sid       = "OpenData"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.keys.data]
  }

  dynamic "statement" {
    for_each = length(each.value.queue) > 0 ? [each.value.queue] : []
    content {
      sid       = "Queue"
      actions   = statement.value
      resources = [var.queue.arn]
    }
  }

  dynamic "statement" {
    for_each = each.value.connections ? [1] : []
    content {
      sid       = "Connections"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [local.connections_arn]
    }
  }

  dynamic "statement" {
    for_each = each.value.connections ? [1] : []
    content {
      sid       = "OpenConnections"
      actions   = ["kms:Decrypt"]
      resources = [var.keys.secrets]
    }
  }
}
