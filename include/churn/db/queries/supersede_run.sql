UPDATE churn.scoring_runs
SET state = 'superseded', closed_at = now()
WHERE scoring_run_id = %(scoring_run_id)s
