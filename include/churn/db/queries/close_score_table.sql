SELECT churn.close_score_table(%(scoring_run_id)s, %(base)s)
