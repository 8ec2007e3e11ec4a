-- The extracts that count for the days before, newest first.
SELECT snapshots.extract_id, snapshots.snapshot_date, extracts.row_count, extracts.profile
FROM churn.snapshots AS snapshots
JOIN churn.extracts AS extracts USING (extract_id)
WHERE snapshots.snapshot_date < %(snapshot_date)s
ORDER BY snapshots.snapshot_date DESC
LIMIT %(limit)s
