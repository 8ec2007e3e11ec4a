"""The dashboards of include/grafana/dashboards, written down short; `python -m churn_grafana` makes the files of it."""
