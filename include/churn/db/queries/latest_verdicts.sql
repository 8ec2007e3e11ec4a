-- Only reports on the version in production count: a promotion starts the series anew. What callers of the API ask
-- about is theirs to choose, so reports on requests never count.
SELECT verdict
FROM monitoring.drift_reports
WHERE source = 'customers' AND model_version = %(model_version)s AND verdict IN ('stable', 'drifted')
ORDER BY drift_report_id DESC
LIMIT %(limit)s
