SELECT drift_report_id, verdict, reason, reported_at
FROM monitoring.drift_reports
WHERE source = 'customers'
ORDER BY drift_report_id DESC
LIMIT 1
