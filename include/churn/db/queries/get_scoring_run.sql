SELECT scoring_run_id, extract_id, snapshot_date, model_version, model_digest, policy, state, customer_count, scored_count, published_at
FROM churn.scoring_runs
WHERE scoring_run_id = %(scoring_run_id)s
