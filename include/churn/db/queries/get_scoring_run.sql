SELECT *
FROM churn.scoring_runs
WHERE scoring_run_id = %(scoring_run_id)s
