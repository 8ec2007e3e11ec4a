SELECT extracts.extract_id, extracts.content_hash, extracts.source_url, extracts.snapshot_date, extracts.state,
       extracts.row_count, extracts.admitted_count, extracts.quarantined_count, extracts.refusal, extracts.data_docs,
       extracts.replaces_extract_id
FROM churn.snapshots
JOIN churn.extracts USING (extract_id)
WHERE EXISTS (
    SELECT FROM churn.customer_history AS history
    WHERE history.extract_id = snapshots.extract_id AND history.churned IS NOT NULL
)
ORDER BY snapshots.snapshot_date DESC
LIMIT 1
