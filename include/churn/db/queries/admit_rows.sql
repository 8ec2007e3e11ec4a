-- In key order, so that the partition and its key grow evenly and key ranges read neighbouring pages.
INSERT INTO churn.customer_history (extract_id, snapshot_date, {target_columns})
SELECT %(extract_id)s, %(snapshot_date)s, {admitted_values}
FROM staging.customers_extract AS row_values
WHERE NOT EXISTS (
    SELECT FROM churn.quarantined_rows AS aside
    WHERE aside.extract_id = %(extract_id)s AND aside.line_number = row_values.line_number
)
ORDER BY {key} COLLATE "C"
