INSERT INTO churn.quarantined_rows (extract_id, line_number, raw_values, reasons)
SELECT %(extract_id)s, line_number, to_jsonb(row_values) - 'line_number', {reasons}
FROM staging.customers_extract AS row_values
WHERE line_number = ANY (%(line_numbers)s)
