-- A full run answers for `changed` too: it holds the same rows. A run from before rows of its extract were released lacks
-- customers, so it is no longer the night's run.
SELECT *
FROM churn.scoring_runs
WHERE extract_id = %(extract_id)s
  AND model_version = %(model_version)s AND model_digest = %(model_digest)s
  AND policy = %(policy)s
  AND (mode = %(mode)s OR (%(mode)s = 'changed' AND mode = 'full'))
  AND state IN ('open', 'scored', 'checked', 'published')
  AND scores_dropped_at IS NULL
  AND customer_count = (SELECT admitted_count FROM churn.extracts WHERE extracts.extract_id = scoring_runs.extract_id)
ORDER BY scoring_run_id
LIMIT 1
