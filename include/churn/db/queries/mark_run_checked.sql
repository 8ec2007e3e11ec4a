UPDATE churn.scoring_runs
SET state = 'checked', checked_at = now(), checks = %(checks)s
WHERE scoring_run_id = %(scoring_run_id)s
