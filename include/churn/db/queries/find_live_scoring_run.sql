-- A full run answers for `changed` too: it holds the same rows.
SELECT *
FROM churn.scoring_runs
WHERE extract_id = %(extract_id)s
  AND model_version = %(model_version)s AND model_digest = %(model_digest)s
  AND policy = %(policy)s
  AND (mode = %(mode)s OR (%(mode)s = 'changed' AND mode = 'full'))
  AND state IN ('open', 'scored', 'checked', 'published')
  AND scores_dropped_at IS NULL
ORDER BY scoring_run_id
LIMIT 1
