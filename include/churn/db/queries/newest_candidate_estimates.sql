SELECT DISTINCT ON (kind) kind, recipe, folds, probabilities, repeat_count, rows_a_second, mlflow_run_id, estimated_at
FROM churn.candidate_estimates
ORDER BY kind, estimated_at DESC
