SELECT churn.drop_score_tables(%(scoring_run_id)s)
