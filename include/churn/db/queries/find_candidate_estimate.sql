SELECT kind, recipe, folds, probabilities, repeat_count, rows_a_second, mlflow_run_id
FROM churn.candidate_estimates
WHERE estimate_key = %(estimate_key)s
