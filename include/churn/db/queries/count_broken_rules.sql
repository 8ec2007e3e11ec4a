-- Each reason begins with the name of its column.
SELECT split_part(reason, ' ', 1) AS column_name, count(*) AS broken_count
FROM churn.quarantined_rows, unnest(reasons) AS reason
WHERE extract_id = %(extract_id)s
GROUP BY column_name
