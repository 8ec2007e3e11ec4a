SELECT *
FROM churn.quarantined_rows
WHERE extract_id = %(extract_id)s AND (released_at IS NOT NULL) = %(released)s
ORDER BY line_number
LIMIT %(limit)s
