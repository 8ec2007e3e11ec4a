INSERT INTO churn.customer_history (extract_id, snapshot_date, {target_columns})
SELECT %(extract_id)s, %(snapshot_date)s, {admitted_values}
FROM staging.released_rows AS row_values
