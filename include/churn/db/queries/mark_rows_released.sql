UPDATE churn.quarantined_rows AS aside
SET released_values = to_jsonb(row_values) - 'record_number' - 'line_number',
    released_by = session_user,
    released_at = now()
FROM staging.released_rows AS row_values
WHERE aside.extract_id = %(extract_id)s
  AND aside.line_number = row_values.line_number::bigint
  AND aside.released_at IS NULL
