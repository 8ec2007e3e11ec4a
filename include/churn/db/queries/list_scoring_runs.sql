SELECT scoring_run_id, extract_id, snapshot_date, model_version, model_digest, policy, state, customer_count, scored_count, published_at
FROM churn.scoring_runs
ORDER BY scoring_run_id DESC
LIMIT %(limit)s
