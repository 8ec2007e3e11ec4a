SELECT extracts.*
FROM churn.extracts
JOIN churn.snapshots USING (extract_id)
WHERE snapshots.snapshot_date = %(snapshot_date)s
