UPDATE churn.scoring_runs
SET explained_count = %(explained_count)s
WHERE scoring_run_id = %(scoring_run_id)s AND explained_count IS NULL
