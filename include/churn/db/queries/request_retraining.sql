-- The unique index on open requests makes this the one place where "at most one in flight" is decided.
INSERT INTO churn.retraining_requests (reason, drift_report_id)
SELECT %(reason)s, %(drift_report_id)s
WHERE NOT EXISTS (
    SELECT FROM churn.retraining_requests
    WHERE requested_at > now() - make_interval(secs => %(cooldown_seconds)s)
)
ON CONFLICT DO NOTHING
RETURNING request_id
