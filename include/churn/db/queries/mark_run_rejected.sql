-- Only from the state in which it was found wanting.
UPDATE churn.scoring_runs
SET state = 'rejected', rejection = %(reason)s, checks = %(checks)s, closed_at = now()
WHERE scoring_run_id = %(scoring_run_id)s AND state = %(state)s
