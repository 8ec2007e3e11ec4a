COPY (
    SELECT line_number, {values}, array_to_string(reasons, '; ') AS reasons
    FROM churn.quarantined_rows
    WHERE extract_id = {extract_id} AND released_at IS NULL
    ORDER BY line_number
) TO STDOUT (FORMAT csv, HEADER true)
