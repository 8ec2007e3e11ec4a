# The endpoint follows its load. Workers follow the queue: up while tasks wait, down only when none waits or runs, so that
# no training is cut off.
resource "aws_appautoscaling_target" "this" {
  for_each = { api = var.api_count, airflow-worker = var.worker_count }

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${module.service[each.key].name}"
  min_capacity       = each.value.min
  max_capacity       = each.value.max
}

resource "aws_appautoscaling_policy" "api" {
  name               = "cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this["api"].service_namespace
  scalable_dimension = aws_appautoscaling_target.this["api"].scalable_dimension
  resource_id        = aws_appautoscaling_target.this["api"].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = 60 # per cent; latency rises well above
    scale_out_cooldown = 60
    scale_in_cooldown  = 300
    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

resource "aws_appautoscaling_policy" "workers" {
  for_each = { up = 1, down = -1 }

  name               = "workers-${each.key}"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.this["airflow-worker"].service_namespace
  scalable_dimension = aws_appautoscaling_target.this["airflow-worker"].scalable_dimension
  resource_id        = aws_appautoscaling_target.this["airflow-worker"].resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    cooldown                = each.key == "up" ? 120 : 600
    metric_aggregation_type = "Maximum"
    step_adjustment {
      scaling_adjustment          = each.value
      metric_interval_lower_bound = each.key == "up" ? 0 : null
      metric_interval_upper_bound = each.key == "up" ? null : 0
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "tasks_wait" {
  alarm_name          = "${var.name}-tasks-wait"
  alarm_description   = "Tasks wait for a worker: one more is started."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = var.queue.name }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_appautoscaling_policy.workers["up"].arn]
}

resource "aws_cloudwatch_metric_alarm" "nothing_to_do" {
  alarm_name          = "${var.name}-nothing-to-do"
  alarm_description   = "No task waits and none runs: a worker less."
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  evaluation_periods  = 15
  treat_missing_data  = "breaching" # SQS reports nothing for a queue that nobody used
  alarm_actions       = [aws_appautoscaling_policy.workers["down"].arn]

  metric_query {
    id          = "all"
    expression  = "waiting + running"
    label       = "tasks"
    return_data = true
  }
  dynamic "metric_query" {
    for_each = { waiting = "ApproximateNumberOfMessagesVisible", running = "ApproximateNumberOfMessagesNotVisible" }
    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/SQS"
        metric_name = metric_query.value
        dimensions  = { QueueName = var.queue.name }
        stat        = "Maximum"
        period      = 60
      }
    }
  }
}
