-- The newest complete run of the same model: what `changed` starts from.
SELECT *
FROM churn.scoring_runs
WHERE model_version = %(model_version)s AND model_digest = %(model_digest)s
  AND extract_id <> %(extract_id)s
  AND mode <> 'shadow' AND published_at IS NOT NULL AND scores_dropped_at IS NULL
ORDER BY snapshot_date DESC, scoring_run_id DESC
LIMIT 1
