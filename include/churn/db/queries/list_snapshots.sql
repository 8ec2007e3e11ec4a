SELECT snapshots.extract_id, snapshots.snapshot_date, snapshots.content_hash,
       EXISTS (
           SELECT FROM churn.customer_history AS history
           WHERE history.extract_id = snapshots.extract_id AND history.churned IS NOT NULL
       ) AS has_labels
FROM churn.snapshots
ORDER BY snapshots.snapshot_date
