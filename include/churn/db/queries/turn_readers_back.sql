UPDATE churn.current_scoring_run
SET scoring_run_id = %(scoring_run_id)s, moved_at = now()
