INSERT INTO monitoring.shadow_comparisons
    (scoring_run_id, compared_run_id, customer_count, mean_difference, mean_absolute_difference, correlation,
     moved_decile_rate, changed_risk_level_rate)
VALUES (%(scoring_run_id)s, %(compared_run_id)s, %(customer_count)s, %(mean_difference)s,
        %(mean_absolute_difference)s, %(correlation)s, %(moved_decile_rate)s, %(changed_risk_level_rate)s)
ON CONFLICT (scoring_run_id) DO NOTHING
