SELECT line_number
FROM churn.quarantined_rows
WHERE extract_id = %(extract_id)s
ORDER BY line_number
