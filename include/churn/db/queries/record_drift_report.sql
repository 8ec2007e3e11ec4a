INSERT INTO monitoring.drift_reports (
    snapshot_date, model_version, current_count, reference_count, drifted_rate, verdict, reason
)
VALUES (
    %(snapshot_date)s, %(model_version)s, %(current_count)s, %(reference_count)s, %(drifted_rate)s, %(verdict)s,
    %(reason)s
)
RETURNING drift_report_id
