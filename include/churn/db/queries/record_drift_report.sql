INSERT INTO monitoring.drift_reports (
    source, snapshot_date, model_version, current_count, reference_count, drifted_rate, drifted_rate_limit, verdict, reason
)
VALUES (
    %(source)s, %(snapshot_date)s, %(model_version)s, %(current_count)s, %(reference_count)s, %(drifted_rate)s,
    %(drifted_rate_limit)s, %(verdict)s, %(reason)s
)
RETURNING drift_report_id
