SELECT churn.open_score_tables(%(scoring_run_id)s)
