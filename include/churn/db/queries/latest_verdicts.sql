-- Only reports on the version in production count: a promotion starts the series anew.
SELECT verdict
FROM monitoring.drift_reports
WHERE model_version = %(model_version)s AND verdict IN ('stable', 'drifted')
ORDER BY drift_report_id DESC
LIMIT %(limit)s
