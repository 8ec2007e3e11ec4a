INSERT INTO churn.candidate_estimates
    (estimate_key, kind, recipe, folds, probabilities, repeat_count, rows_a_second, mlflow_run_id)
VALUES (%(estimate_key)s, %(kind)s, %(recipe)s, %(folds)s, %(probabilities)s, %(repeat_count)s, %(rows_a_second)s,
        %(mlflow_run_id)s)
ON CONFLICT (estimate_key) DO NOTHING
