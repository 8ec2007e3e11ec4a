SELECT scoring_run_id, extract_id, snapshot_date, model_version, model_digest, policy, state, customer_count, scored_count, published_at
FROM churn.scoring_runs
WHERE extract_id = %(extract_id)s AND model_version = %(model_version)s AND policy = %(policy)s
  AND state IN ('open', 'scored', 'checked', 'published')
ORDER BY scoring_run_id
LIMIT 1
