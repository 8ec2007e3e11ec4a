SELECT *
FROM churn.scoring_runs
ORDER BY scoring_run_id DESC
LIMIT %(limit)s
