UPDATE churn.quarantined_rows AS aside
SET raw_text = delivered.raw_text
FROM staging.delivered_text AS delivered
WHERE aside.extract_id = %(extract_id)s AND aside.line_number = delivered.line_number
