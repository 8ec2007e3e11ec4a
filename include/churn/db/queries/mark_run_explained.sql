UPDATE churn.scoring_runs
SET explained_count = (SELECT count(*) FROM {reasons})
WHERE scoring_run_id = %(scoring_run_id)s AND explained_count IS NULL
RETURNING explained_count
