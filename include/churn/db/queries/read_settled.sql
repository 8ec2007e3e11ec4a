SELECT {columns}
FROM churn.customer_history AS history
JOIN churn.settled_labels(
    %(snapshot_date)s, %(settled_date)s, %(horizon_days)s, %(label_extract_ids)s::bigint[]
) AS settled ON settled.customer_id = history.customer_id
WHERE history.extract_id = %(extract_id)s
ORDER BY history.customer_id
