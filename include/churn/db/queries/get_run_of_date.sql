-- The published run of a date; where none is any more, the one that was published last.
SELECT *
FROM churn.scoring_runs
WHERE snapshot_date = %(snapshot_date)s AND published_at IS NOT NULL AND mode <> 'shadow'
ORDER BY state = 'published' DESC, published_at DESC
LIMIT 1
