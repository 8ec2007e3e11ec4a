INSERT INTO monitoring.validation_results
    (extract_id, suite, expectation, column_name, severity, succeeded, unexpected_count, observed_value, finding,
    duration_seconds)
VALUES (%(extract_id)s, %(suite)s, %(expectation)s, %(column_name)s, %(severity)s, %(succeeded)s,
    %(unexpected_count)s, %(observed_value)s, %(finding)s, %(duration_seconds)s)
