# Grafana as Compose runs it, with the provisioning files inside: a task on Fargate has no folder to mount.
FROM grafana/grafana:12.2.0
COPY provisioning /etc/grafana/provisioning
COPY dashboards /var/lib/grafana/dashboards
USER 472
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=8 \
    CMD ["wget", "--quiet", "--output-document=/dev/null", "http://127.0.0.1:3000/api/health"]
