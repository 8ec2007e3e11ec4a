INSERT INTO monitoring.validation_results
    (extract_id, expectation, column_name, severity, succeeded, unexpected_count, observed_value)
VALUES (%(extract_id)s, %(expectation)s, %(column_name)s, %(severity)s, %(succeeded)s, %(unexpected_count)s,
    %(observed_value)s)
