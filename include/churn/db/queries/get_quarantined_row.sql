SELECT *
FROM churn.quarantined_rows
WHERE extract_id = %(extract_id)s AND line_number = %(line_number)s
