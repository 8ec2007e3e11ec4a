-- Every row with a value outside the contract is quarantined, so nothing else has to be read.
SELECT fields.key AS column_name, left(fields.value, %(length)s) AS new_value, count(*) AS row_count
FROM churn.quarantined_rows AS aside, jsonb_each_text(aside.raw_values) AS fields
WHERE aside.extract_id = %(extract_id)s
    AND %(known)s::jsonb ? fields.key
    AND NOT (%(known)s::jsonb -> fields.key) ? fields.value
    AND fields.value !~ '^\s*$'
GROUP BY fields.key, left(fields.value, %(length)s)
ORDER BY row_count DESC, new_value
