# Grafana as Compose runs it, with the provisioning files inside: a task on Fargate has no folder to mount.
FROM grafana/grafana:12.2.0
COPY provisioning /etc/grafana/provisioning
COPY dashboards /var/lib/grafana/dashboards
