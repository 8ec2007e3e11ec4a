SELECT suite, expectation, column_name, severity, succeeded, unexpected_count, observed_value, finding, duration_seconds
FROM monitoring.validation_results
WHERE extract_id = %(extract_id)s
ORDER BY validation_result_id
