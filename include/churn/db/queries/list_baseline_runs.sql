SELECT *
FROM churn.scoring_runs
WHERE snapshot_date < %(snapshot_date)s AND state = 'published' AND percentile_cuts IS NOT NULL
ORDER BY snapshot_date DESC
LIMIT %(limit)s
