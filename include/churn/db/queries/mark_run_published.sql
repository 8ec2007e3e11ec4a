UPDATE churn.scoring_runs SET state = 'published', published_at = now() WHERE scoring_run_id = %(scoring_run_id)s
