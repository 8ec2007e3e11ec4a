INSERT INTO churn.engines
    (model_digest, engine, engine_version, admitted, reason, compared_count, largest_difference, rows_a_second,
     reference_rows_a_second)
VALUES (%(model_digest)s, %(engine)s, %(engine_version)s, %(admitted)s, %(reason)s, %(compared_count)s,
        %(largest_difference)s, %(rows_a_second)s, %(reference_rows_a_second)s)
ON CONFLICT (model_digest, engine_version) DO NOTHING
